"""The control group of one gated run: who lives in it, who is on the way out, and its end all at once.

Sources: Documentation/admin-guide/cgroup-v2.rst (cgroup.kill, cgroup.events, pids.max), proc(5).
"""

import os
import signal
from pathlib import Path

from .names import read_text

CGROUPS = Path("/sys/fs/cgroup/crashinit")
TASKS = 1000  # processes and threads: with a fork bomb of more, the machine has no memory left to end it with
PF_EXITING = 0x4  # <linux/sched.h>: the process has begun to end
STAT_FLAGS = 6  # index of the flags in /proc/PID/stat, counted after the name in parentheses


class Group:
    """One control group; it exists from make() to remove()."""

    def __init__(self, ident: str) -> None:
        self.path = CGROUPS / ident

    def make(self, tasks: int = TASKS) -> None:
        self.path.mkdir(parents=True)
        for place in (CGROUPS.parent, CGROUPS):
            (place / "cgroup.subtree_control").write_text("+pids")
        (self.path / "pids.max").write_text(str(tasks))

    def remove(self) -> None:
        """Raises OSError while a process is left."""
        self.path.rmdir()

    def events(self) -> int:
        """A descriptor that poll(2) reports with POLLPRI when the last process has gone."""
        return os.open(self.path / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)

    def kill(self) -> None:
        """SIGKILL to every process at once."""
        (self.path / "cgroup.kill").write_text("1")

    def busy(self) -> float | None:
        """Seconds of CPU time that its processes have used, also those that are gone; None if that is not known."""
        for line in read_text(self.path / "cpu.stat").splitlines():
            name, _, value = line.partition(" ")
            if name == "usage_usec":
                return int(value) / 1e6
        return None

    def alive(self) -> list[int]:
        """The processes that live."""
        return [int(pid) for pid in read_text(self.path / "cgroup.procs").split()]

    def populated(self) -> bool:
        """Whether a process lives or is still on its way out."""
        return "populated 1" in read_text(self.path / "cgroup.events")

    def dying(self) -> bool:
        """Whether one of those that live has been killed already, as by a parent-death signal, and is not gone yet."""
        return any(is_dying(pid) for pid in self.alive())


def is_dying(pid: int) -> bool:
    """Whether a process has a SIGKILL that it has not died of yet, or has begun to end.

    The kernel makes a SIGKILL of any other signal that ends a process without a core dump.
    """
    for line in read_text(Path(f"/proc/{pid}/status")).splitlines():
        name, _, value = line.partition(":")
        if name in ("SigPnd", "ShdPnd") and int(value, 16) >> (signal.SIGKILL - 1) & 1:
            return True
    fields = read_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return len(fields) > STAT_FLAGS and bool(int(fields[STAT_FLAGS]) & PF_EXITING)
