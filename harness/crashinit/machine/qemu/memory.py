"""What a machine has in memory: a file that it shares with others, and the pages that it has written since.

QEMU maps the file privately, so the host's kernel gives the machine a page of its own where it writes (copy on write).
Which these are, the kernel says in /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst), and /proc/PID/mem
reads and writes them. A fork holds only those.
"""

import mmap
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from crashinit.errors import MachineError
from crashinit.machine import owned
from crashinit.machine.files import File

ENTRY = 8  # bytes of pagemap for a page, little-endian
# Of an entry's highest byte: the page is there or swapped out (bits 63 and 62), and is none of the file (bit 61).
OWN = bytes(1 if top & 0xC0 and not top & 0x20 else 0 for top in range(256))
RUN = re.compile(rb"\x01+")


@dataclass(frozen=True)
class Memory:
    """A file's content, but for the pages in `runs`, which are pairs of an offset and a length in bytes.

    What lies in those is in `written`, one after the other.
    """

    file: File
    runs: tuple[tuple[int, int], ...] = ()
    written: File | None = None

    def size(self) -> int:
        """Bytes, holes included."""
        return self.file.size()

    def used(self) -> int:
        """Bytes that nobody else holds: of the file if it is alone, else of the pages."""
        return self.written.used() if self.written else self.file.used()

    def sealed(self) -> "Memory":
        """The same, with a file that nobody can change any more."""
        return Memory(self.file.sealed(), self.runs, self.written)

    def whole(self, name: str) -> File:
        """A new file with all of it."""
        file = self.file.copied_to(File.in_memory(name))
        for offset, page in self._pages():
            os.pwrite(file.fd, page, offset)
        return file

    def loaded_into(self, pid: int) -> None:
        """Give the process that has mapped the file privately, and has not run yet, the pages. Raises MachineError."""
        if self.runs:
            with _memory_of(pid) as memory:
                start = _address(pid, self.file)
                for offset, page in self._pages():
                    _all(os.pwrite(memory, page, start + offset), len(page))

    def written_by(self, pid: int) -> "Memory":
        """What a process that has mapped the file privately has made of it. Raises MachineError."""
        with _memory_of(pid) as memory:
            start = _address(pid, self.file)
            runs = tuple(_own(pid, start, self.size()))
            written = File.in_memory("written", sum(length for _, length in runs))
            for (offset, _), page in zip(runs, _views(written, runs), strict=True):
                _all(os.preadv(memory, [page], start + offset), len(page))
        return Memory(self.file, runs, written)

    def _pages(self) -> Iterator[tuple[int, memoryview]]:
        if self.written:
            for (offset, _), page in zip(self.runs, _views(self.written, self.runs), strict=True):
                yield offset, page


@cache
def readable(user: owned.User | None) -> bool:
    """Whether this process may read and write the memory of one that runs as `user`; see PTRACE_MODE_ATTACH_FSCREDS
    in ptrace(2). Root may not in a container that has no CAP_SYS_PTRACE, and nobody where Yama forbids it.
    """
    child = owned.spawn(["cat"], stdin=subprocess.PIPE, user=user)
    try:
        with _memory_of(child.pid):
            return bool(_maps(child.pid))
    except (OSError, MachineError):
        return False
    finally:
        child.kill()
        child.communicate()


@contextmanager
def _memory_of(pid: int) -> Iterator[int]:
    try:
        descriptor = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as problem:
        raise MachineError(f"the memory of QEMU's process {pid} cannot be reached ({problem.strerror})") from problem


def _all(done: int, length: int) -> None:
    if done != length:
        raise MachineError(f"of {length} bytes of QEMU's memory only {done} could be moved: its process has ended")


def _maps(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()


def _address(pid: int, file: File) -> int:
    """Where the process has mapped the file, as a whole."""
    status = os.fstat(file.fd)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    for line in _maps(pid):
        span, _, offset, where, inode = line.split(maxsplit=5)[:5]
        start, end = (int(number, 16) for number in span.split("-"))
        if (where, int(inode), int(offset, 16), end - start) == (device, status.st_ino, 0, status.st_size):
            return start
    raise MachineError(f"QEMU's process {pid} has not mapped its memory as one piece")


def _own(pid: int, start: int, size: int) -> Iterator[tuple[int, int]]:
    """The pages of a private mapping that are the process's own."""
    with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as file:
        entries = os.pread(file.fileno(), size // mmap.PAGESIZE * ENTRY, start // mmap.PAGESIZE * ENTRY)
    for run in RUN.finditer(entries[ENTRY - 1 :: ENTRY].translate(OWN)):
        yield run.start() * mmap.PAGESIZE, (run.end() - run.start()) * mmap.PAGESIZE


def _views(file: File, runs: tuple[tuple[int, int], ...]) -> Iterator[memoryview]:
    """The file's content, cut as the runs are long."""
    if runs:
        content = memoryview(mmap.mmap(file.fd, file.size()))
        at = 0
        for _, length in runs:
            yield content[at : at + length]
            at += length
