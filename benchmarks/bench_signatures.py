"""Ed25519 over the bytes of a state, and what is signed around it."""

from hashlib import sha256

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.scene import KEY, Scene, build_state
from lock_protocol.codec import encode
from lock_protocol.envelope import DESIRED, REPORTED, pre_authentication, seal
from lock_protocol.keys import verifies
from lock_protocol.levels import Level


@pytest.fixture
def signed(scene: Scene) -> bytes:
    """What is signed of a state."""
    return pre_authentication(DESIRED.media_type, encode(scene.state))


def test_sign(benchmark: BenchmarkFixture, signed: bytes) -> None:
    benchmark(KEY.sign, signed)


def test_verify(benchmark: BenchmarkFixture, signed: bytes) -> None:
    assert benchmark(verifies, KEY.public, signed, KEY.sign(signed))


def test_build_and_sign_a_state(benchmark: BenchmarkFixture, scene: Scene) -> None:
    """As the bridge queues one: its hash is kept beside the envelope."""

    def build_and_sign() -> tuple[bytes, bytes]:
        state = build_state(2, Level.UNLOCKED)
        return sha256(encode(state)).digest(), scene.signer.sign_state(state)

    assert benchmark(build_and_sign)[1] == scene.envelope


def test_sign_a_fresh(benchmark: BenchmarkFixture, scene: Scene) -> None:
    benchmark(scene.signer.sign_fresh, scene.answer)


def test_sign_a_report(benchmark: BenchmarkFixture, scene: Scene) -> None:
    assert benchmark(seal, REPORTED, scene.said, [KEY]) == scene.report
