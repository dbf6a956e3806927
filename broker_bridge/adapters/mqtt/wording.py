"""The messages on `…/lenders/{lender}/results`, as `docs/mqtt.md` and `docs/asyncapi.yaml` describe them.

They hold what the same questions are answered with over HTTP, and which step they are about.
"""

import json
from typing import Any

from broker_bridge.adapters.lender_api.answers import command_answer, decided_answer
from broker_bridge.adapters.lender_api.problems import ProblemError
from broker_bridge.app.decide import Decided
from broker_bridge.app.records import Command


def decided_message(decided: Decided) -> bytes:
    """Return what says that a decision was taken and is durable."""
    return _message(step="decided", **decided_answer(decided))


def step_message(command: Command) -> bytes:
    """Return what says how far the command of a decision has come."""
    return _message(step=command.status.value, **command_answer(command))


def refused_message(decision_id: str | None, problem: ProblemError) -> bytes:
    """Return what says that nothing was done, and why."""
    return _message(decision_id=decision_id, step="refused", problem=problem.document())


def _message(**fields: Any) -> bytes:
    return json.dumps(fields).encode()
