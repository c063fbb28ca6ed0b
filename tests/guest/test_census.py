"""Which processes of a run count. The processes are real, and so is all that is read of them but a group's list."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashinit.guest import census


@pytest.fixture
def child() -> Iterator[int]:
    """The id of a process that this one has started."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process.pid
        process.kill()


def counted(monkeypatch: pytest.MonkeyPatch, groups: Path, inside: set[int], earlier: set[int]) -> set[int]:
    """Who counts of a run with these processes."""
    (groups / "1").mkdir()
    (groups / "1/cgroup.procs").write_text("".join(f"{pid}\n" for pid in inside))
    monkeypatch.setattr(census, "CGROUPS", groups)
    return {process["pid"] for process in census.Census().processes(earlier)}


def test_what_a_living_process_has_just_started_does_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, child: int
) -> None:
    """A daemon starts programs all the time, and which of them happens to be there says nothing."""
    me = os.getpid()

    assert counted(monkeypatch, tmp_path, {me, child}, earlier={me}) == {me}


def test_what_was_there_before_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, child: int) -> None:
    """A tool that is at work as long as one looks is more than that."""
    me = os.getpid()

    assert counted(monkeypatch, tmp_path, {me, child}, earlier={me, child}) == {me, child}


def test_an_orphan_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, child: int) -> None:
    """Nobody of the run has started it and lives."""
    assert counted(monkeypatch, tmp_path, {child}, earlier=set()) == {child}
