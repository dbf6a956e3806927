"""Quoting what was sent: as much of it as cannot flood an answer or a log."""

MAX_SHOWN = 80


def shortened(text: str) -> str:
    """Return text quoted, and cut to a length that cannot flood an answer or a log."""
    quoted = repr(text[: MAX_SHOWN + 1])
    return quoted if len(quoted) <= MAX_SHOWN else quoted[:MAX_SHOWN] + "..."
