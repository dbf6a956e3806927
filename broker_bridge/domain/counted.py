"""Numbers of things, as they stand in a sentence."""


def counted(number: int, thing: str) -> str:
    """Return a number with the English word for so many things: `1 day`, `3 days`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
