"""`paylatch completion`: what makes a shell complete commands and options."""

from enum import StrEnum
from typing import Annotated

import typer

# Typer imports both here for whoever does not use its own --install-completion, without naming them in an __all__.
from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]

app = typer.Typer(rich_markup_mode=None)


class Shell(StrEnum):
    """A shell that can."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command("completion", epilog='Example: eval "$(paylatch completion bash)"')
def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="Which shell.", show_default=False)],
) -> None:
    """Print the script that completes paylatch's commands and options; have the shell read it when it starts."""
    typer.echo(get_completion_script(prog_name="paylatch", complete_var="_PAYLATCH_COMPLETE", shell=shell.value))


def answer_shells() -> None:
    """Have a shell that asks what would complete a line answered, and nothing run."""
    completion_init()
