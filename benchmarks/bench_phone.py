"""The phone's core: one step, from what happened to what is to be done, with both signatures."""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.scene import Scene
from device_sim.phone.effects import Apply, Persist, Publish
from device_sim.phone.memory import from_bytes, to_bytes
from device_sim.phone.step import step


def test_obey_a_state(benchmark: BenchmarkFixture, scene: Scene) -> None:
    """Verify, keep, apply, report."""
    arrival = scene.arrival
    _, effects = benchmark(lambda: step(scene.phone, arrival))
    assert [type(one) for one in effects if isinstance(one, Persist | Apply | Publish)] == [Persist, Apply, Publish]


def test_say_hello(benchmark: BenchmarkFixture, scene: Scene) -> None:
    check = scene.check
    benchmark(lambda: step(scene.phone, check))


def test_write_and_read_memory(benchmark: BenchmarkFixture, scene: Scene) -> None:
    """What storage in files adds to a step, but for the disk; storage in memory adds nothing."""
    memory = scene.phone.memory
    assert benchmark(lambda: from_bytes(to_bytes(memory))) == memory
