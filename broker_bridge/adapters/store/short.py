"""Short transactions of their own, for everything that is no job: what runs them, and what they have in common."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, SQLAlchemyError

from broker_bridge.adapters.store.errors import unavailable, unstorable

T = TypeVar("T")


class Run(Protocol):
    """Runs something short in a transaction of its own, away from the event loop."""

    def __call__(self, query: Callable[[Connection], T], /) -> Awaitable[T]:
        """Return what it returns.

        Raises:
            StoreUnavailableError: the database does not answer.
            UnstorableError: it cannot hold a value.
        """


def in_transaction(engine: Engine, query: Callable[[Connection], T]) -> T:
    """Run something in a transaction of its own; what the database does not take is told in the ports' words."""
    try:
        with engine.begin() as connection:
            return query(connection)
    except DataError as error:
        raise unstorable(error) from error
    except SQLAlchemyError as error:
        raise unavailable(error) from error


def first(connection: Connection, query: Any, make: Callable[..., T]) -> T | None:
    """Return what is made of a query's first row; None when it has none."""
    row = connection.execute(query).first()
    return None if row is None else make(row)


def every(connection: Connection, query: Any, make: Callable[..., T]) -> list[T]:
    """Return what is made of each of a query's rows."""
    return [make(row) for row in connection.execute(query)]
