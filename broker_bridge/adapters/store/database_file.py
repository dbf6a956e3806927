"""A database that is a file, before it is there."""

from pathlib import Path
from tempfile import TemporaryFile

from sqlalchemy.engine import URL

from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.directories import nearest_existing


def is_to_be_made(url: URL) -> bool:
    """Tell whether the database is a file that is not there yet, and can be made.

    Raises:
        StoreUnavailableError: it is, and cannot be.
    """
    file = url.database if url.get_backend_name() == "sqlite" else None
    if not file or file.startswith((":memory:", "file:")) or Path(file).exists():
        return False
    directory = nearest_existing(Path(file).parent)
    try:
        with TemporaryFile(dir=directory):
            return True
    except OSError as error:
        raise StoreUnavailableError(f"{directory}: no file can be made there: {error.strerror}") from error
