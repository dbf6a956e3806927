"""The golden files themselves: made by their generator, and complete."""

import subprocess
import sys

import pytest

from tests.unit.lock_protocol import golden

FILES = sorted(path.stem for path in golden.DIRECTORY.glob("*.json"))

# The project's list of bad input, as far as it concerns envelopes and IMEIs.
ENVELOPE_ITEMS = {
    "63- and 65-byte signatures",
    "malleated signature",
    "small-order key",
    "the same signature twice for threshold 2",
    "one key under two ids",
    "a delegation typed as a state",
    "array of 2^32-1",
    "depth 100,000",
    "extension timestamp",
    "trailing byte",
    "bool for int",
    "non-minimal int",
    "version 0, -1, 2^63, 2^64-1",
    "equal version with another body",
    "lease before issue",
    "delegation expired by one second",
    "root N+2",
}
IMEI_ITEMS = {
    "bad Luhn",
    "all zeros",
    "16-digit IMEISV",
    "14 digits",
    "full-width digits",
    "trailing newline",
    "dashes",
    "a JSON number",
}


def test_the_generator_still_makes_the_committed_files() -> None:
    script = golden.DIRECTORY / "generate.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_item_of_bad_input_has_an_invalid_golden_message() -> None:
    items = {one["item"] for file in FILES for one in golden.read(file) if "item" in one and "error" in one}
    assert items == ENVELOPE_ITEMS | IMEI_ITEMS


@pytest.mark.parametrize("file", FILES)
def test_names_are_unique_within_a_file(file: str) -> None:
    names = [one["name"] for one in golden.read(file)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("file", FILES)
def test_an_entry_is_valid_or_names_its_first_defect_as_its_error(file: str) -> None:
    for one in golden.read(file):
        assert one.get("defects", [None])[0] == one.get("error"), one["name"]
        assert not ("result" in one and "error" in one), one["name"]


@pytest.mark.parametrize("file", FILES)
def test_the_readme_describes_every_file_and_every_field(file: str) -> None:
    readme = (golden.DIRECTORY / "README.md").read_text(encoding="utf-8")
    assert f"`{file}.json`" in readme
    fields = {field for one in golden.read(file) for field in one}
    assert {field for field in fields if f"`{field}`" not in readme} == set()
