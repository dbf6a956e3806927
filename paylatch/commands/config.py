"""`paylatch config`: what a bridge would run with, and whether it could."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paylatch.commands.options import ConfigOption, JsonOption
from paylatch.commands.outcome import FAILED, USAGE, fail, finish
from paylatch.commands.show import show_json, show_table

if TYPE_CHECKING:
    from broker_bridge.settings import Configuration, Settings

app = typer.Typer(help="The bridge's settings.", no_args_is_help=True, rich_markup_mode=None)


@app.command("show", epilog="Example: paylatch config show --config bridge.toml")
def show(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every setting and where it comes from: the environment, the file, or its default. Secrets stay hidden."""
    from broker_bridge.setting_sources import options  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.settings import without_password  # noqa: PLC0415

    configuration = _configuration(config)
    values: dict[str, Any] = dict(options(configuration.settings.model_dump(mode="json")))
    values["database"] = without_password(values["database"])
    shown = {name: {"value": value, "from": _source(configuration, name)} for name, value in values.items()}
    if as_json:
        show_json(shown)
    else:
        rows = [(name, _text(one["value"]), one["from"]) for name, one in shown.items()]
        show_table(("OPTION", "VALUE", "FROM"), rows)


@app.command("check", epilog="Example: paylatch config check --config bridge.toml --online")
def check(
    *,
    config: ConfigOption = None,
    broker_conf: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Look at the broker's configuration too.", show_default=False),
    ] = None,
    online: Annotated[bool, typer.Option("--online", help="Connect to the broker once.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look whether a bridge could start with its settings, and would be safe; nothing is started or changed.

    Exits with 0 when it could (warnings or not), 1 when it could not or must not, 2 when settings cannot be read.
    """
    from broker_bridge.check import Finding, Severity, check_broker_conf  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.check import check as check_bridge  # noqa: PLC0415

    settings, faults, wrong = _settings(config)
    findings = [Finding(Severity.ERROR, option, text) for option, text in faults]
    findings += finish(check_bridge(settings, online=online, wrong=wrong), (), usage=())
    if broker_conf is not None:
        findings += check_broker_conf(broker_conf)
    if as_json:
        show_json([{"severity": one.severity, "about": one.about, "text": one.text} for one in findings])
    else:
        for one in findings:
            typer.echo(f"{one.severity:<8} {one.about}: {one.text}")
    if faults:
        raise typer.Exit(USAGE)
    if any(one.severity is Severity.ERROR for one in findings):
        raise typer.Exit(FAILED)


def _settings(config: Path | None) -> "tuple[Settings, Sequence[tuple[str, str]], Collection[str]]":
    """Return the settings, what is wrong with them, and which options mean nothing because of that."""
    from broker_bridge.settings import OptionsError, SettingsError, configure  # noqa: PLC0415 - see the package's docstring

    try:
        return configure(config).settings, (), ()
    except OptionsError as error:
        return error.rest, error.faults, error.wrong
    except SettingsError as error:
        fail(error, USAGE)


def _configuration(config: Path | None) -> "Configuration":
    from broker_bridge.settings import SettingsError, configure  # noqa: PLC0415 - see the package's docstring

    try:
        return configure(config)
    except SettingsError as error:
        fail(error, USAGE)


def _source(configuration: "Configuration", option: str) -> str:
    from broker_bridge.settings import ENV_PREFIX  # noqa: PLC0415 - see the package's docstring

    source = configuration.origins.get(option, "default")
    variable = ENV_PREFIX + option.replace(".", "__").upper()
    return f"{source} {variable}" if source == "environment" else source


def _text(value: object) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
