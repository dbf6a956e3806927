"""Files that a command writes in the end: what was there before stays until they are whole."""

from contextlib import ExitStack
from pathlib import Path

import pytest
import typer

from paylatch.commands.files import prepare, require_distinct, write_all
from paylatch.commands.outcome import FAILED, USAGE


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("before")
    with ExitStack() as stack:
        file = prepare(stack, path)
        assert path.read_text() == "before"
        write_all([(file, lambda into: into.write("after")), (prepare(stack, None), lambda into: into.write("no"))])
        assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("before")
    with ExitStack() as stack:
        prepare(stack, path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "before"


def test_a_file_that_cannot_be_written_in_the_end_does_not_keep_others_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.csv"
    with ExitStack() as stack:
        files = [(prepare(stack, one), lambda into: into.write("done")) for one in (Path("/dev/full"), path)]
        with pytest.raises(typer.Exit) as ended:
            write_all(files)
    assert ended.value.exit_code == FAILED
    assert "/dev/full was not written: No space left on device" in capsys.readouterr().err
    assert path.read_text() == "done"


@pytest.mark.parametrize("name", ["nowhere/run.json", "."])
def test_what_cannot_be_written_is_told_before_anything_is_done(name: str, tmp_path: Path) -> None:
    with ExitStack() as stack, pytest.raises(typer.Exit) as ended:
        prepare(stack, tmp_path / name)
    assert ended.value.exit_code == USAGE


def test_two_files_cannot_have_one_path(tmp_path: Path) -> None:
    require_distinct(tmp_path / "a", tmp_path / "b", None, None)
    with pytest.raises(typer.Exit) as ended:
        require_distinct(tmp_path / "a", tmp_path / "b", tmp_path / "b" / ".." / "a")
    assert ended.value.exit_code == USAGE
