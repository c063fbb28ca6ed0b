"""Somebody else in the machine, beside the driver: a program of its own that takes something, holds it, and lets go.

`python3 -m crashinit.guest.actors KIND [COMMAND]` prints what it got as a JSON list of names, which is empty when there
was nothing to be had; waits for a line with the seconds after which it lets go; and prints as a list of sentences what
it did not find as it had left it.

Sources: mount_namespaces(7), losetup(8), dmsetup(8); O_DIRECT in open(2).
"""

import ctypes
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

BLOCK = Path("/sys/block")
PIECE = 4096  # bytes of one read
BETWEEN_READS = 0.01  # seconds
COMMAND_PATIENCE = 5.0  # seconds that a command may take before it counts as one that holds something
OTHER = "crashinit-other"  # the dm device of the other owner
FILE_SYSTEMS = ("ext4", "xfs", "btrfs")
# <sys/mount.h>, <sched.h>
MS_RDONLY, MS_REC, MS_PRIVATE, CLONE_NEWNS = 0x1, 0x4000, 0x40000, 0x20000

LIBC = ctypes.CDLL(None, use_errno=True)


class Actor(Protocol):
    """One kind of somebody else."""

    def take(self) -> list[str]:
        """Take what there is; its names."""
        ...

    def let_go(self) -> list[str]:
        """Give it back; what was not as it had been left, as sentences."""
        ...


def devices() -> Iterator[tuple[str, str]]:
    """Each dm device and each attached loop device: what it is called, and its node."""
    for entry in sorted(BLOCK.iterdir()):
        if (entry / "dm/name").exists():
            yield (entry / "dm/name").read_text().strip(), f"/dev/{entry.name}"
        elif (entry / "loop/backing_file").exists():
            yield entry.name, f"/dev/{entry.name}"


class Holder:
    """Has every device open, and does nothing with it."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def take(self) -> list[str]:
        got = []
        for name, node in devices():
            with suppress(OSError):
                self._held.append(os.open(node, os.O_RDONLY | os.O_CLOEXEC))
                got.append(name)
        return got

    def let_go(self) -> list[str]:
        for fd in self._held:
            os.close(fd)
        return []


class Reader:
    """Reads the first block of every device time and again, past the cache; one that is suspended keeps it waiting."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def take(self) -> list[str]:
        got = []
        for name, node in devices():
            with suppress(OSError):
                fd = os.open(node, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
                threading.Thread(target=self._read, args=(fd,), daemon=True).start()
                got.append(name)
        return got

    def _read(self, fd: int) -> None:
        with mmap.mmap(-1, PIECE) as page:
            while not self._over.is_set():
                with suppress(OSError):
                    os.preadv(fd, [page], 0)
                time.sleep(BETWEEN_READS)
        os.close(fd)

    def let_go(self) -> list[str]:
        self._over.set()
        return []


class Mount:
    """Has each file system that it finds mounted, read-only, where nobody else sees it."""

    def take(self) -> list[str]:
        _libc("unshare", CLONE_NEWNS)
        _libc("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
        got = []
        for name, node in devices():
            if any(self._mounted(node, kind) for kind in FILE_SYSTEMS):
                got.append(name)
        return got

    def _mounted(self, node: str, kind: str) -> bool:
        place = tempfile.mkdtemp(prefix="crashinit-mount-", dir="/run")
        try:
            _libc("mount", node.encode(), place.encode(), kind.encode(), MS_RDONLY, None)
        except OSError:
            Path(place).rmdir()
            return False
        return True

    def let_go(self) -> list[str]:
        return []  # the namespace ends with us, and with it its mounts


class OtherOwner:
    """Has a loop device over a file of its own, and a dm device on it, which are nobody else's business."""

    def take(self) -> list[str]:
        fd, self._file = tempfile.mkstemp(prefix="crashinit-other-", dir="/run")
        os.truncate(fd, 1 << 20)
        os.close(fd)
        self._loop = _said("losetup", "--find", "--show", self._file)
        self._table = f"0 2048 linear {self._loop} 0"
        _said("dmsetup", "create", OTHER, "--noudevsync", "--table", self._table)
        self._stood = _said("dmsetup", "table", OTHER)
        return [OTHER, Path(self._loop).name]

    def let_go(self) -> list[str]:
        lost = []
        table = subprocess.run(["dmsetup", "table", OTHER], check=False, capture_output=True, text=True)
        if table.returncode != 0:
            lost.append(f"'{OTHER}' was removed, which another owner had made")
        else:
            lost += [] if table.stdout.strip() == self._stood else [f"'{OTHER}' of another owner has another table"]
            _said("dmsetup", "remove", "--retry", "--noudevsync", OTHER)
        if BLOCK.joinpath(Path(self._loop).name, "loop/backing_file").exists():
            _said("losetup", "--detach", self._loop)
        else:
            lost.append(f"the loop device '{self._loop}' was detached, which another owner had attached")
        Path(self._file).unlink()
        return lost


class Command:
    """A command of the scenario's own. It got what it wanted if it ended well, or still runs after a while."""

    def __init__(self, script: str) -> None:
        self._script = script

    def take(self) -> list[str]:
        self._runs = subprocess.Popen(
            ["sh", "-c", self._script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        with suppress(subprocess.TimeoutExpired):
            return [self._script] if self._runs.wait(COMMAND_PATIENCE) == 0 else []
        return [self._script]

    def let_go(self) -> list[str]:
        with suppress(ProcessLookupError):
            os.killpg(self._runs.pid, signal.SIGTERM)
        self._runs.wait()
        return []


KINDS: dict[str, Callable[[], Actor]] = {
    "holder": Holder,
    "reader": Reader,
    "mount": Mount,
    "other-owner": OtherOwner,
}


def _libc(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _said(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Be the actor that the first argument names."""
    kind, *script = sys.argv[1:]
    actor = Command(*script) if kind == "command" else KINDS[kind]()
    print(json.dumps(actor.take()), flush=True)
    time.sleep(float(sys.stdin.readline() or 0))
    print(json.dumps(actor.let_go()), flush=True)
    os._exit(0)  # a thread may wait for a device that never answers


if __name__ == "__main__":
    main()
