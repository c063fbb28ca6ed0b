"""Directories of VMs: one for each, swept when their owner is dead."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashinit.machine.vagrant.rundir import RunDirectory

OWNER = """
import sys
from crashinit.machine.vagrant.rundir import RunDirectory

run = RunDirectory()
(run.storage / "disk").write_text("")
print(run.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of this test's own."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


def test_removed(cache: Path) -> None:
    """What is removed is gone, the boxes that all share are not."""
    run = RunDirectory()
    (run.home / "boxes" / "one").mkdir()
    run.remove()

    assert not run.path.exists()
    assert (cache / "vagrant" / "boxes" / "one").is_dir()


def test_last_one_is_told() -> None:
    """Of the runs that share the host's libvirt only the last one clears up; one that does not share is not counted."""
    told: list[str] = []
    apart, first, last = RunDirectory(), RunDirectory(), RunDirectory()
    first.share()
    last.share()
    first.remove(lambda: told.append("first"))
    last.remove(lambda: told.append("last"))
    apart.remove()

    assert told == ["last"]


def test_killed_owner_is_swept() -> None:
    """The directory of a live owner stays; that of a killed one goes when the next is made."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        path = Path(owner.stdout.readline().strip())
        beside = RunDirectory()
        while_alive = (path / "disks" / "disk").exists()
        owner.send_signal(signal.SIGKILL)
    after = RunDirectory()
    swept = not path.exists()
    kept = beside.path.exists()
    beside.remove()
    after.remove()

    assert (while_alive, swept, kept) == (True, True, True)
