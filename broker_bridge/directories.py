"""Directories that may still have to be made."""

from pathlib import Path


def nearest_existing(path: Path) -> Path:
    """Return a path itself if it exists, else the nearest one above it that does: what is made first is made there."""
    absolute = path.absolute()
    return next(one for one in (absolute, *absolute.parents) if one.exists())
