"""`paylatch lender` and `paylatch key`: keys are data, messages are not, and a key is shown once."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.domain.access import ApiKey, Scope, api_key_hash
from paylatch.cli import app

CONFIG = """
development = true
database = "sqlite:///{directory}/bridge.db"
policy = "replay"
keys = "{directory}/keys"
[broker]
password_file = "{directory}/bridge.secret"
phones_passwords = "{directory}/phones.passwd"
"""

Run = Callable[..., Result]


@pytest.fixture
def paylatch(tmp_path: Path) -> Run:
    """Runs a command on a bridge's database."""
    config = tmp_path / "bridge.toml"
    config.write_text(CONFIG.format(directory=tmp_path), encoding="utf-8")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(config)])

    return run


@pytest.fixture
def acme(paylatch: Run) -> str:
    """The first key of a lender `acme`."""
    added = paylatch("lender", "add", "acme")
    assert added.exit_code == 0
    return added.stdout.strip()


def shown(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def found(directory: Path, secret: str) -> ApiKey | None:
    """What a bridge finds for a key."""

    async def ask() -> ApiKey | None:
        async with SqlStore(f"sqlite:///{directory / 'bridge.db'}") as store:
            return await store.keys.working(api_key_hash(secret))

    return asyncio.run(ask())


def test_a_lenders_key_is_data_and_the_rest_is_not(paylatch: Run, tmp_path: Path) -> None:
    added = paylatch("lender", "add", "acme")
    assert added.exit_code == 0
    assert len(added.stdout.split()) == 1
    assert "shown this once" in added.stderr
    assert added.stdout.strip() not in added.stderr
    key = found(tmp_path, added.stdout.strip())
    assert key is not None
    assert (key.lender, set(key.scopes)) == ("acme", {Scope.ADMIN})


def test_a_lender_is_added_once(paylatch: Run, acme: str) -> None:
    again = paylatch("lender", "add", "acme")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "paylatch key create acme" in again.stderr
    assert len(shown(paylatch("key", "list", "acme", "--json"))) == 1
    assert acme.startswith("pl_")


@pytest.mark.parametrize("name", ["bridge", "auditor"])
def test_no_lender_takes_the_name_of_a_service_of_the_broker(paylatch: Run, name: str) -> None:
    assert paylatch("lender", "add", name).exit_code == 2


@pytest.mark.usefixtures("acme")
def test_lenders_are_listed_with_whether_the_bridge_can_sign_for_them(paylatch: Run, tmp_path: Path) -> None:
    for other in ("no-keys", "bad-keys"):
        paylatch("lender", "add", other)
    for lender in ("acme", "bad-keys"):
        made = CliRunner().invoke(app, ["keys", "init", "--directory", str(tmp_path / "keys"), "--lender", lender])
        assert made.exit_code == 0
    (tmp_path / "keys" / "bad-keys" / "lock.key").chmod(0o644)
    listed = {one["lender"]: one for one in shown(paylatch("lender", "list", "--json"))}
    assert {name: one["signing"] for name, one in listed.items()} == {
        "acme": "ready",
        "bad-keys": "unusable",
        "no-keys": "missing",
    }
    assert listed["acme"]["until"] is not None
    assert "chmod 600" in listed["bad-keys"]["problem"]


@pytest.mark.usefixtures("acme")
def test_a_table_is_for_people(paylatch: Run) -> None:
    listed = paylatch("lender", "list")
    heading, row = listed.stdout.splitlines()
    assert heading.split() == ["LENDER", "CREATED", "PHONES", "KEYS", "SIGNING", "UNTIL"]
    assert row.split()[0] == "acme"
    assert row.split()[2:] == ["0", "1", "missing", "-"]


@pytest.mark.usefixtures("acme")
def test_a_key_is_made_with_the_scopes_it_was_asked_for(paylatch: Run, tmp_path: Path) -> None:
    made = paylatch("key", "create", "acme", "--name", "crm", "--scope", "support", "--scope", "phones:write")
    assert made.exit_code == 0
    secret = made.stdout.strip()
    key = found(tmp_path, secret)
    assert key is not None
    assert (key.name, set(key.scopes)) == ("crm", {Scope.SUPPORT, Scope.PHONES_WRITE})
    assert key.key_id in made.stderr
    assert secret not in made.stderr


@pytest.mark.usefixtures("acme")
def test_keys_are_listed_and_none_is_shown(paylatch: Run) -> None:
    secret = shown(paylatch("key", "create", "acme", "--name", "crm", "--scope", "support", "--json"))["key"]
    listed = paylatch("key", "list", "acme", "--json")
    assert {key["name"] for key in shown(listed)} == {"first", "crm"}
    assert secret not in listed.stdout
    table = paylatch("key", "list", "acme").stdout.splitlines()
    assert re.split(r"  +", table[0]) == ["KEY", "NAME", "SCOPES", "CREATED", "LAST USED", "REVOKED"]
    assert len(table) == 3


def test_a_key_is_revoked_even_the_last_admin_key(paylatch: Run, acme: str, tmp_path: Path) -> None:
    (key,) = shown(paylatch("key", "list", "acme", "--json"))
    revoked = paylatch("key", "revoke", "acme", key["key_id"])
    assert (revoked.exit_code, revoked.stdout) == (0, "")
    assert found(tmp_path, acme) is None
    assert shown(paylatch("key", "list", "acme", "--json"))[0]["revoked_at"] is not None
    fresh = paylatch("key", "create", "acme", "--name", "new", "--scope", "admin").stdout.strip()
    assert found(tmp_path, fresh) is not None, "whoever runs the bridge can always let a lender in again"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("key", "create", "acme", "--name", "x", "--scope", "root"), 2, "must be one of decisions:write"),
        (("key", "create", "acme", "--name", "", "--scope", "admin"), 2, "1 to 64 printable"),
        (("key", "create", "acme", "--name", "x"), 2, "--scope"),
        (("key", "create", "nobody", "--name", "x", "--scope", "admin"), 1, "paylatch lender add"),
        (("key", "create", "No Lender", "--name", "x", "--scope", "admin"), 2, "expected 3 to 32"),
        (("key", "list", "nobody"), 1, "there is no lender nobody"),
        (("key", "revoke", "acme", "key_0"), 1, "no such key"),
        (("key", "revoke", "nobody", "key_0"), 1, "no such key"),
    ],
)
@pytest.mark.usefixtures("acme")
def test_what_cannot_be_done_is_said(paylatch: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    refused = paylatch(*arguments)
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
