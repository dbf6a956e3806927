"""No documented command shows a secret to other users of the machine: by a file's mode, or on a command line."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from paylatch.cli import app

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
_WRITES_SECRET = re.compile(r"> *\S+\.(?:key|secret|header)\b")
_SHOWS_SECRET = re.compile(r"(?:curl|mosquitto_\w+)\b[^\n]*(?:\\\n[^\n]*)*(?:\$\(cat |\$\w*KEY\b|-P )")


def leaks(commands: str) -> Iterator[str]:
    """Yield what of these commands shows a secret."""
    protected = False
    for line in commands.splitlines():
        protected |= "umask 077" in line
        if _WRITES_SECRET.search(line) and not protected:
            yield f"writes before umask 077: {line}"
    for shown in _SHOWS_SECRET.finditer(commands):
        yield f"on a command line: {shown[0]}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_block_of_a_document_leaks_a_secret(document: Path) -> None:
    for block in _BLOCK.findall(document.read_text(encoding="utf-8")):
        assert list(leaks(block)) == []


def test_no_commands_example_leaks_a_secret() -> None:
    examples = list(epilogs(get_command(app)))
    assert len(examples) > 30
    for example in examples:
        assert list(leaks(example)) == []


def epilogs(command: object) -> Iterator[str]:
    for one in getattr(command, "commands", {}).values():
        yield from epilogs(one)
        yield one.epilog or ""


@pytest.mark.parametrize(
    "leaking",
    [
        "paylatch lender add acme > acme.key\numask 077\n",
        'curl -sS http://127.0.0.1 -H "Authorization: Bearer $(cat acme.key)"\n',
        'curl -sS http://127.0.0.1 \\\n  -H "Authorization: Bearer $KEY"\n',
        "mosquitto_sub -u acme -P secret -t results\n",
    ],
)
def test_a_leak_would_be_found(leaking: str) -> None:
    assert len(list(leaks(leaking))) == 1
