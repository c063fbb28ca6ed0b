"""What one VM under Vagrant needs on the disk: a directory of its own that does not outlive its owner for long.

libvirt and Vagrant take files by name only, so a killed owner leaves its directory behind. Its lock (flock(2)) went
with it: the next one that makes a directory sees that and sweeps.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from crashinit.machine.cache import cache_dir, disk_errors
from crashinit.machine.vagrant import host_libvirt

RUNS_LOCK = "runs.lock"  # held by who makes or removes a run's directory
SHARES = "shares"  # a file in the directory of a run that is in the host's libvirt


class RunDirectory:
    """A new directory in the cache, locked for as long as this process holds it."""

    def __init__(self) -> None:
        parent = cache_dir() / "vagrant"
        self.boxes = parent / "boxes"
        with disk_errors(parent):
            self.boxes.mkdir(parents=True, exist_ok=True)
            with FileLock(parent / RUNS_LOCK):
                sweep(parent)
                self.path = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
                self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            self.storage.mkdir()
            # A home of this run's own, for Vagrant keeps an index of its VMs there; the boxes are everybody's.
            self.home.mkdir()
            (self.home / "boxes").symlink_to(self.boxes)

    @property
    def home(self) -> Path:
        return self.path / "home"

    @property
    def storage(self) -> Path:
        return self.path / "disks"

    @property
    def log(self) -> Path:
        """What Vagrant said."""
        return self.path / "vagrant.log"

    def share(self) -> None:
        """Say that this run is in the host's libvirt, where runs share things."""
        with FileLock(self.path.parent / RUNS_LOCK):
            (self.path / SHARES).touch()

    def remove(self, last: Callable[[], None] = lambda: None) -> None:
        """Remove it all; to be called once. `last` is called if no run that shares is left, before another one can."""
        with FileLock(self.path.parent / RUNS_LOCK):
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            sweep(self.path.parent)
            if not list(self.path.parent.glob(f"run-*/{SHARES}")):
                last()


def sweep(parent: Path) -> None:
    """Remove the directories of runs whose owner is gone, and their VMs, which the host's libvirt may still run."""
    for path in parent.glob("run-*"):
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            if host_libvirt.host_has_libvirt():
                host_libvirt.remove_vm(path.name)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(directory)
