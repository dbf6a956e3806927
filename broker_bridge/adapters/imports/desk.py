"""The import worker in the words of the lenders' API: its rows are read and answered as single decisions are."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from broker_bridge.adapters.lender_api.answers import decided_answer
from broker_bridge.adapters.lender_api.decisions import decision_of
from broker_bridge.adapters.lender_api.problems import EXPECTED, ProblemError, problem_of
from broker_bridge.app.decide import Decide
from broker_bridge.app.dry_run import dry_run_queue
from broker_bridge.app.import_rows import Desk
from broker_bridge.app.import_tidying import ImportTidier
from broker_bridge.app.import_worker import ImportWorker
from broker_bridge.app.imports import Uploads
from broker_bridge.app.ports.imports import Imports, Spool, UnreadableFileError
from broker_bridge.app.ports.metrics import Meters
from broker_bridge.app.ports.store import Commits
from broker_bridge.app.ports.surroundings import Log
from broker_bridge.app.reconsider import Reconsider


def import_worker(
    *,
    store: Commits,
    imports: Imports,
    spool: Spool,
    reconsider: Reconsider,
    meters: Meters,
    log: Log,
    keep_s: int,
) -> ImportWorker:
    """Return a worker that takes decisions as the routes do."""
    dry = replace(reconsider, queue=dry_run_queue(reconsider.queue))
    clock, awake = reconsider.clock, asyncio.Event()
    uploads = Uploads(imports=imports, spool=spool, clock=clock, wake=awake.set)
    return ImportWorker(
        store=store,
        imports=imports,
        spool=spool,
        desk=Desk(
            read=decision_of,
            decide=lambda decision: Decide(decision, reconsider),
            dry_run=lambda decision: Decide(decision, dry),
            answer=lambda decided: {**decided_answer(decided)},
            refusal=_refusal,
            refusals=EXPECTED,
            unreadable=_unreadable,
            count=lambda decision, outcome: meters.decided("import", decision, outcome),
        ),
        uploads=uploads,
        clock=clock,
        log=log,
        tidier=ImportTidier(imports=imports, spool=spool, uploads=uploads, clock=clock, log=log, keep_s=keep_s),
        awake=awake,
    )


def _refusal(error: Exception) -> dict[str, Any]:
    if not isinstance(error, EXPECTED):
        error = ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "the bridge failed at this row")
    problem = problem_of(error)
    return {"status": int(problem.status), "problem": problem.document()}


def _unreadable(error: UnreadableFileError) -> dict[str, Any]:
    return {**ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable-file", str(error)).document()}
