"""At which commit a report was last shown."""

import subprocess
from pathlib import Path

import pytest
from crashinit.errors import UsageError
from crashinit.scenario import shown

COMMIT = "0123456789"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one file, as it was committed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("one")
    author = ["-c", "user.name=n", "-c", "user.email=n@localhost"]
    for words in (["init", "-q"], ["add", "file"], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], check=True)
    return tmp_path


def test_of_reports_that_are_not_shown_now_the_note_stays(tmp_path: Path) -> None:
    """One that was shown last week is still that."""
    assert shown.read(tmp_path) == {}
    shown.write(tmp_path, ["moby-2", "moby-1"], COMMIT)
    shown.write(tmp_path, ["moby-2"], COMMIT[::-1])

    assert (tmp_path / shown.SHOWN).read_text() == f"moby-1 {COMMIT}\nmoby-2 {COMMIT[::-1]}\n"


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    """With its file and number."""
    (tmp_path / shown.SHOWN).write_text(f"moby-1 {COMMIT}\nmoby-2\n")

    with pytest.raises(UsageError, match=r"shown\.txt', line 2: it has to be a report and a commit: 'moby-2'"):
        shown.read(tmp_path)


def test_a_commit_stands_for_all_files(checkout: Path) -> None:
    """Where one differs, the note would be of what nobody else has; and so it would be without a checkout."""
    assert len(shown.commit(checkout)) == 10
    (checkout / "file").write_text("two")
    with pytest.raises(UsageError, match="'file' differs from it: commit it"):
        shown.commit(checkout)


def test_a_checkout_of_something_else_is_refused_at_the_start(checkout: Path) -> None:
    """It has no directory for the note; to find that out after all reports were shown would lose the work."""
    with pytest.raises(UsageError, match="'scenarios/reports', which is not here"):
        shown.commit(Path("scenarios/reports"))


def test_without_a_checkout_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git's words say why."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"'git status' says: .*not a git repository"):
        shown.commit(tmp_path)
