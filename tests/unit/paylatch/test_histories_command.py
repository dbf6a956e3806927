"""`paylatch histories decisions` writes what `paylatch import` takes."""

import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker_bridge.adapters.imports.csv_rows import csv_rows
from broker_bridge.adapters.lender_api.decisions import decision_of
from paylatch.cli import app
from paylatch.facts import facts_of
from paylatch.histories import read_histories
from paylatch.resources import HISTORIES
from tests.bridge_rig import ACME


def written(path: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, ("histories", "decisions", "--out", str(path), *arguments))
    assert done.exit_code == 0, done.output
    return path.read_text()


@pytest.fixture
def bodies() -> list[dict[str, object]]:
    """What the demo's lender sends of the same accounts."""
    return [fact.body() for fact in facts_of(read_histories(HISTORIES, limit=100), 6)]


def test_a_csv_file_says_what_the_demo_sends(tmp_path: Path, bodies: list[dict[str, object]]) -> None:
    text = written(tmp_path / "decisions.csv", "--phones", "100")
    rows = list(csv_rows(io.BytesIO(text.encode())))
    assert [decision_of(row.value, ACME) for row in rows] == [decision_of(body, ACME) for body in bodies]


def test_an_ndjson_file_says_what_the_demo_sends(tmp_path: Path, bodies: list[dict[str, object]]) -> None:
    text = written(tmp_path / "decisions.ndjson", "--phones", "100")
    assert [json.loads(line) for line in text.splitlines()] == bodies


def test_all_accounts_give_22483_decisions(tmp_path: Path) -> None:
    assert len(written(tmp_path / "all.csv").splitlines()) == 1 + 22_483


def test_months_that_the_file_does_not_have_are_a_mistake(tmp_path: Path) -> None:
    out = str(tmp_path / "decisions.csv")
    assert CliRunner().invoke(app, ("histories", "decisions", "--months", "7", "--out", out)).exit_code == 2


@pytest.mark.parametrize("arguments", [("import", "/nowhere.csv"), ("import", __file__)])
def test_an_import_without_a_file_or_a_key_is_a_mistake(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAYLATCH_KEY", raising=False)
    assert CliRunner().invoke(app, arguments).exit_code == 2
