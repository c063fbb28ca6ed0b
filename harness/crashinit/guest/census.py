"""Which processes of a machine belong to the driver: those in the control groups of its runs, and those that left them.

Who was there when the trial began is usual, and so is what its daemons start (udevd's workers, a session of sshd), what
the kernel starts, and what the harness itself runs. Any other process comes from the driver.

Sources: proc(5), stat and environ; PF_KTHREAD in <linux/sched.h>.
"""

import os
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .group import CGROUPS
from .names import read_text

PROC = Path("/proc")
PF_KTHREAD = 0x00200000
KTHREADD = 2  # the parent of what the kernel starts
INIT = 1  # the parent of whoever has lost its own: that one is its child says nothing of where a process comes from
TAG = "CRASHINIT_HARNESS"  # in the environment of what the harness runs for a driver, such as the service that it needs
TRANSIENT = Path("/run/systemd/transient")  # systemd's units that were made at run time, as for a scope of a manager


@dataclass(frozen=True)
class Life:
    """One process; pid and start are its own for ever."""

    pid: int
    parent: int
    start: int  # clock ticks since boot
    kernel: bool
    ended: bool  # and not yet waited for


class Census:
    """Remembers who is there; `take` it before the driver runs."""

    def __init__(self) -> None:
        self._usual: frozenset[tuple[int, int]] | None = None

    def take(self) -> None:
        """Whoever is there now is usual. The first census of a machine stands: a driver may run before the next."""
        if self._usual is None:
            self._usual = frozenset((life.pid, life.start) for life in living().values())

    def processes(self, earlier: Set[int]) -> list[dict[str, Any]]:
        """What is alive of the driver's runs, as contract.observation.Process; `earlier`: who was `in_runs` before.

        A process that lives and has started another one since then is a daemon at its work: it starts programs all the
        time, and which of them happens to be there says nothing.
        """
        inside = in_runs()
        found = [described(pid, outside=False) for pid in sorted(inside) if pid in earlier or parent(pid) not in inside]
        found += [described(pid, outside=True) for pid in self._strangers() if pid not in inside]
        return [entry for entry in found if entry["name"]]

    def _strangers(self) -> list[int]:
        if self._usual is None:
            return []
        lives = living()
        daemons = {pid for pid, start in self._usual if pid in lives and lives[pid].start == start}
        daemons -= {INIT, os.getpid()}  # what the agent itself started is the driver, unless it bears the tag
        return sorted(
            life.pid
            for life in lives.values()
            if not (
                (life.pid, life.start) in self._usual
                or life.kernel
                or life.ended
                or daemons & set(ancestors(life, lives))
                or tagged(life.pid)
                or in_a_unit(life.pid)
                or in_a_run(life.pid)  # began after the groups were read
            )
        )


def in_runs() -> Set[int]:
    """The processes in the control groups of the driver's runs, of which one that is over may go at any time."""
    groups = (Path(group) for group, _, _ in os.walk(CGROUPS))  # unlike glob() it passes over what has gone
    return {int(pid) for group in groups for pid in read_text(group / "cgroup.procs").split()}


def parent(pid: int) -> int:
    """The id of a process's parent; 0 if it has ended."""
    fields = read_text(PROC / str(pid) / "stat").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def living() -> dict[int, Life]:
    """Every process by its id."""
    found = {}
    for entry in os.listdir(PROC):  # noqa: PTH208 - plain names of a few hundred entries, in an emulated machine
        if not entry.isdigit():
            continue
        fields = read_text(f"{PROC}/{entry}/stat").rpartition(")")[2].split()
        if len(fields) > 19:
            parent, flags = int(fields[1]), int(fields[6])
            kernel = bool(flags & PF_KTHREAD) or parent == KTHREADD
            found[int(entry)] = Life(int(entry), parent, int(fields[19]), kernel, fields[0] in ("Z", "X"))
    return found


def ancestors(life: Life, lives: dict[int, Life]) -> list[int]:
    """The ids of a process's parent, its parent, and so on."""
    found: list[int] = []
    while life.parent in lives and life.parent not in found:
        found.append(life.parent)
        life = lives[life.parent]
    return found


def tagged(pid: int) -> bool:
    """Whether the harness ran it, or what started it."""
    return any(word.startswith(f"{TAG}=") for word in read_text(PROC / str(pid) / "environ").split("\0"))


def in_a_run(pid: int) -> bool:
    """Whether it is in the control group of one of the driver's runs."""
    return f":/{CGROUPS.name}/" in read_text(PROC / str(pid) / "cgroup")


def in_a_unit(pid: int) -> bool:
    """Whether it belongs to an installed service, which a timer of systemd may start at any time."""
    unit = read_text(PROC / str(pid) / "cgroup").rpartition("/")[2]
    return unit.endswith(".service") and TRANSIENT.parent.exists() and not (TRANSIENT / unit).exists()


def described(pid: int, *, outside: bool) -> dict[str, Any]:
    """A process by name and arguments; without a name if it has ended meanwhile."""
    argv = read_text(PROC / str(pid) / "cmdline").rstrip("\0").split("\0")
    return {
        "pid": pid,
        "name": read_text(PROC / str(pid) / "comm"),
        "argv": argv if argv != [""] else [],
        "outside": outside,
    }
