"""Messages and their bytes."""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.scene import Scene, build_state
from lock_protocol.codec import decode, decode_own, encode
from lock_protocol.levels import Level
from lock_protocol.messages import DesiredState


def test_build_a_state(benchmark: BenchmarkFixture) -> None:
    benchmark(build_state, 2, Level.UNLOCKED)


def test_encode_a_state(benchmark: BenchmarkFixture, scene: Scene) -> None:
    benchmark(encode, scene.state)


def test_decode_a_state(benchmark: BenchmarkFixture, scene: Scene) -> None:
    assert benchmark(decode, DesiredState, encode(scene.state)) == scene.state


def test_decode_a_state_of_its_own(benchmark: BenchmarkFixture, scene: Scene) -> None:
    assert benchmark(decode_own, DesiredState, encode(scene.state)) == scene.state
