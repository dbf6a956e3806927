"""The whole table of rules, over messages that break none."""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.scene import Scene, copy
from lock_protocol.acceptance import accept_hello, accept_report, accept_state


def test_accept_a_state(benchmark: BenchmarkFixture, scene: Scene) -> None:
    standing = scene.phone_standing
    assert benchmark(lambda: accept_state(copy(scene.envelope), standing)).message == scene.state


def test_accept_a_report(benchmark: BenchmarkFixture, scene: Scene) -> None:
    standing = scene.device_standing
    assert benchmark(lambda: accept_report(copy(scene.report), standing)).message == scene.said


def test_accept_a_hello(benchmark: BenchmarkFixture, scene: Scene) -> None:
    standing = scene.device_standing
    benchmark(lambda: accept_hello(copy(scene.hello), standing))
