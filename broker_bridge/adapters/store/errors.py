"""What the database says when it does not take something, in the words of `broker_bridge.app.ports.store`."""

from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError

from broker_bridge.app.ports.imports import ImportTakenAwayError
from broker_bridge.app.ports.store import StoreUnavailableError, UnstorableError
from broker_bridge.domain.imports import ImportId


def taken_away(import_id: ImportId) -> ImportTakenAwayError:
    """Return the error of an import that is not, or no more, worked off from a spool."""
    return ImportTakenAwayError(f"{import_id} is over, or with another bridge")


def unstorable(error: DataError | OverflowError) -> UnstorableError:
    """Return the error of a value that the database cannot hold, in its own words."""
    return UnstorableError(f"the database cannot hold this: {error.orig if isinstance(error, DataError) else error}")


def unavailable(error: SQLAlchemyError | StoreUnavailableError) -> StoreUnavailableError:
    """Return an error in the database's own words, in one line, without the statement and its parameters."""
    if isinstance(error, StoreUnavailableError):
        return error
    reason = error.orig if isinstance(error, DBAPIError) else error
    return StoreUnavailableError(f"the database does not answer: {' '.join(str(reason).split())}")
