"""Files that hold a secret."""

import os
from pathlib import Path


def write_secret(path: Path, secret: str) -> None:
    """Write a new file that its owner alone may read.

    Raises:
        FileExistsError: there is one already; it stays as it is.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret)
