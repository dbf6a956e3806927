"""What schemathesis cannot know from the document alone: which IMEIs have a Luhn digit, and which phones are there.

It loads this by itself (`SCHEMATHESIS_HOOKS`); `test_schemathesis.py` says in the environment which key it comes with.
"""

import base64
import itertools
import os
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import schemathesis
from hypothesis import strategies as st

from broker_bridge.adapters.policies.profiles import profile_document
from device_sim.identities import simulated_imei
from lock_protocol.keys import SigningKey

_PHONES = 40
"""Half of them are enrolled."""
_OWN_KEY = os.environ["PAYLATCH_TEST_KEY_ID"]
_ids = itertools.count()


def _public_key(seed: bytes) -> str:
    return base64.b64encode(SigningKey.from_seed(seed).public).decode()


def _past(at: datetime) -> str:
    return at.isoformat() + "Z"


schemathesis.openapi.format("imei", st.integers(0, _PHONES - 1).map(simulated_imei))
schemathesis.openapi.format("paylatch-policy", st.sampled_from(["default", "gentle", "replay"]).map(profile_document))
schemathesis.openapi.format("time-zone", st.sampled_from(["Asia/Kolkata", "Africa/Nairobi", "UTC"]))
schemathesis.openapi.format("ed25519", st.binary(min_size=32, max_size=32).map(_public_key))
# Nobody owes a payment of the future.
schemathesis.openapi.format("date-time", st.datetimes(datetime(2000, 1, 1), datetime(2024, 1, 1)).map(_past))  # noqa: DTZ001


def _as_text(_: Any, text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass")


for media_type in ("application/toml", "application/x-ndjson", "text/csv"):
    schemathesis.serializer(media_type)(_as_text)


@schemathesis.hook
def before_call(_: Any, case: Any, **__: Any) -> None:
    """Say in each body what the document cannot ask for."""
    for one in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(one, dict):
            _make_acceptable(one)
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(r"[ -~]{1,255}", key):
        # A valid key that is used again for another file is refused, rightly.
        case.headers["Idempotency-Key"] = f"schemathesis-{next(_ids)}"


def _make_acceptable(one: dict[str, Any]) -> None:
    """Make each valid decision_id a new one, have links lead to the delegated host, let nothing lie ahead, drop .0."""
    if isinstance(one.get("decision_id"), str) and re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", one["decision_id"]):
        one["decision_id"] = f"schemathesis-{next(_ids)}"
    if isinstance(one.get("occurred_at"), str) and re.match(r"20[2-9][0-9]-", one["occurred_at"]):
        one["occurred_at"] = "2020" + one["occurred_at"][4:]  # what another answer held may lie ahead
    if isinstance(one.get("pay_url"), str):
        one["pay_url"] = re.sub(r"^https://[a-z0-9.-]{1,64}(?=/|$)", "https://pay.example", one["pay_url"])
    for name, value in one.items():
        if isinstance(value, float) and value.is_integer():
            one[name] = int(value)


@schemathesis.hook
def filter_path_parameters(_: Any, path_parameters: dict[str, Any] | None) -> bool:
    """Leave alone the key that all requests are made with."""
    return path_parameters is None or path_parameters.get("key_id") != _OWN_KEY


@schemathesis.hook
def filter_body(_: Any, body: Any) -> bool:
    """Leave out texts that no screen can show: no pattern can say which those are."""
    return not isinstance(body, dict) or all(map(_is_shown, _texts(body)))


@schemathesis.hook
def filter_case(_: Any, case: Any) -> bool:
    """Leave out what stops being wrong on its way.

    The key is put into each request anyway (`ignored_auth` takes it out again). And whatever is sent as a file is a
    text, which is judged after it was taken.
    """
    takes_file = case.operation.path == "/v1/imports" and case.operation.method.upper() == "POST"
    if takes_file and not isinstance(case.body, str | bytes):
        return False
    phase = case.meta.phase.data if case.meta is not None else None
    return getattr(phase, "parameter", None) != "Authorization"


def _texts(body: dict[str, Any]) -> Iterator[object]:
    yield from (body.get(field) for field in ("name", "consent"))
    evidence = body.get("evidence")
    if isinstance(evidence, dict):
        yield from evidence.values()


def _is_shown(text: object) -> bool:
    return not isinstance(text, str) or text.isprintable()
