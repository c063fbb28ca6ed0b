"""The place of a run: whose files it holds, and who may write there."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crashinit.errors import HostError, UsageError
from crashinit.files.safe import disk_errors
from crashinit.model.trial import Setup
from crashinit.run.kept import Prepared
from crashinit.run.place import claimed, is_run, locked, permitted

from ..contract.builder import reference
from ..report.events import report, results
from ..toys import environment


def test_a_place_that_nothing_was_put_into_is_not_left_behind(tmp_path: Path) -> None:
    """A run that ends before it has anything to keep leaves no directory; one that has leaves it."""
    with claimed(tmp_path / "a/b"):
        assert (tmp_path / "a/b").is_dir()
    assert not (tmp_path / "a").exists()

    with claimed(tmp_path / "a/b"):
        report(tmp_path / "a/b", results())
    assert is_run(tmp_path / "a/b")


def test_what_a_killed_run_left_unfinished_goes_when_it_is_gone_on_with(tmp_path: Path) -> None:
    """Half a file stays behind where its writer was killed; the next one that has the directory removes it."""
    report(tmp_path, results())
    rubble = [tmp_path / ".crashinit-1-1", tmp_path / "evidence/.crashinit-1-2", tmp_path / "errors/.crashinit-1-3"]
    for path in rubble:
        path.parent.mkdir(exist_ok=True)
        path.touch()

    with claimed(tmp_path, resume=True):
        assert [path for path in rubble if path.exists()] == []


@pytest.mark.parametrize("name", ["notes.txt", "plan.json", "run.json", "results.jsonl", "evidence/x"])
@pytest.mark.parametrize("force", [True, False])
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, name: str, force: bool) -> None:
    """Whatever its files are called, with '--force' as well: nothing in it is replaced."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"mine": true}\n')

    with pytest.raises(UsageError, match="holds something else than a run"), claimed(tmp_path, force=force):
        pass
    assert path.read_text() == '{"mine": true}\n'
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("/", "is no place for a run"),
        ("dangling", "is a symbolic link to nothing"),
        ("file", "is not a directory"),
        ("file/below", "give another '--out'"),
        ("x" * 300, "File name too long: give another '--out'"),
    ],
)
def test_what_can_be_no_place_is_refused_before_anything_runs(tmp_path: Path, place: str, said: str) -> None:
    """One sentence that names the option."""
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match=said), claimed(tmp_path / place):
        pass


def test_results_are_kept_unless_they_may_be_replaced(tmp_path: Path) -> None:
    """The sentence names the options that go on, or replace them."""
    report(tmp_path, results())

    with pytest.raises(UsageError, match="give '--resume' to go on, '--force' to replace them"), claimed(tmp_path):
        pass
    with claimed(tmp_path, force=True), pytest.raises(UsageError, match="another run is at work"), locked(tmp_path):
        pass
    with claimed(tmp_path, resume=True):
        pass


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second process is refused while the first one lives; the lock of one that was killed holds nobody up."""
    program = (
        "import sys, signal; from pathlib import Path; from crashinit.run.place import claimed\n"
        "with claimed(Path(sys.argv[1])):\n"
        "    print('claimed', flush=True); signal.pause()\n"
    )
    first = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, env=environment())
    assert first.stdout
    with first, first.stdout:
        try:
            assert first.stdout.readline() == b"claimed\n"
            with pytest.raises(UsageError, match=f"another run is at work in '{tmp_path}'"), claimed(tmp_path):
                pass
        finally:
            first.send_signal(signal.SIGKILL)
        first.wait()
        with claimed(tmp_path):
            pass


def test_a_run_that_was_killed_as_it_began_can_be_begun_anew(tmp_path: Path) -> None:
    """What it left is a run's, and is swept away."""
    Prepared([], {Setup("fresh", (), 60.0): reference()}, "tcg", []).store(tmp_path)
    (tmp_path / "plan.json").unlink()
    (tmp_path / ".crashinit-123").mkdir()

    with claimed(tmp_path):
        Prepared([], {}, "tcg", []).store(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence", "plan.json", "powercut"]


@pytest.mark.parametrize(("number", "kind"), [(errno.EROFS, UsageError), (errno.ENOSPC, HostError)])
def test_a_disk_that_may_only_be_read_is_not_a_full_one(tmp_path: Path, number: int, kind: type[Exception]) -> None:
    """Space does not help there: the run is to be copied, and the mistake is the user's."""
    with pytest.raises(kind) as error, permitted(tmp_path), disk_errors(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "report.html"))
    assert ("copy the run's directory" in str(error.value)) == (kind is UsageError)
    assert error.value.exit_code == (4 if kind is UsageError else 3)  # type: ignore[attr-defined]
