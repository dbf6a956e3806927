"""Names that a shell completes, besides those of commands, options and files.

A shell asks for them each time that somebody presses Tab: nothing is imported before that.
"""


def scenario_names(incomplete: str) -> list[str]:
    """Return the scenarios that ship and begin so."""
    from paylatch.fleet.reading import shipped  # noqa: PLC0415 - see the package's docstring

    return _beginning(incomplete, shipped())


def profile_names(incomplete: str) -> list[str]:
    """Return the policies that ship and begin so."""
    from broker_bridge.adapters.policies.profiles import profile_names  # noqa: PLC0415 - see the package's docstring

    return _beginning(incomplete, profile_names())


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
