"""Open files without a name: what machines and templates are made of.

A file that has no name cannot be left behind: the kernel frees it when its last user is gone, SIGKILL included.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from crashinit.machine.cache import cache_dir, disk_errors

PAGE = 4096  # bytes
ZEROS = bytes(PAGE)


class File:
    """An open file, shared by all who hold this object and closed when the last of them lets go of it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)

    @classmethod
    def open(cls, path: Path) -> Self:
        """A file of the cache, to be read; it stays usable when the cache is pruned."""
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def in_memory(cls, name: str, size: int = 0) -> Self:
        """A new file in memory, `size` bytes of zeros, which whoever holds it may open anew; see memfd_create(2)."""
        file = cls(os.memfd_create(f"crashinit-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        os.ftruncate(file.fd, size)
        return file

    @classmethod
    def on_disk(cls) -> Self:
        """A new file on the cache's disk; see O_TMPFILE in open(2)."""
        where = cache_dir()
        with disk_errors(where):
            return cls(os.open(where, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))

    @property
    def path(self) -> str:
        """A path by which this process, or a child that inherits the descriptor, opens the file anew."""
        return f"/proc/self/fd/{self.fd}"

    def reopened(self, flags: int = os.O_RDONLY) -> "File":
        """The same file with a position of its own, to be read or used as `flags` say."""
        return File(os.open(self.path, flags | os.O_CLOEXEC))

    def sealed(self) -> "File":
        """The same content in memory, where nobody can change it any more: this file, if it is so already.

        Another user can open and map it (privately) whatever this file's owner and permissions are.
        """
        try:
            seals = fcntl.fcntl(self.fd, fcntl.F_GET_SEALS)
        except OSError:  # EINVAL: no file in memory
            seals = fcntl.F_SEAL_SEAL
        if seals & fcntl.F_SEAL_WRITE:
            return self
        memory: File = self.copied_to(File.in_memory("sealed")) if seals & fcntl.F_SEAL_SEAL else self
        fcntl.fcntl(memory.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        return memory

    def used(self) -> int:
        """Bytes of memory or disk that the file takes; holes take none."""
        return os.fstat(self.fd).st_blocks * 512

    def size(self) -> int:
        """Bytes, holes included."""
        return os.fstat(self.fd).st_size

    def text(self) -> str:
        return os.pread(self.fd, self.size(), 0).decode(errors="replace")

    def sparsed_to(self, target: "File") -> "File":
        """`target`, filled with this file's content; pages of zeros become holes."""
        with disk_errors(cache_dir()):
            os.ftruncate(target.fd, os.fstat(self.fd).st_size)
            for start, end in self.extents():
                for offset in range(start, end, PAGE):
                    if (page := os.pread(self.fd, PAGE, offset)) != ZEROS:
                        os.pwrite(target.fd, page, offset)
        return target

    def copied_to(self, target: "File") -> "File":
        """`target`, filled with this file's content; holes stay holes (SEEK_DATA in lseek(2))."""
        with disk_errors(cache_dir()):
            os.ftruncate(target.fd, os.fstat(self.fd).st_size)
            for offset, end in self.extents():
                os.lseek(target.fd, offset, os.SEEK_SET)
                while offset < end:
                    offset += os.sendfile(target.fd, self.fd, offset, end - offset)
        return target

    def extents(self) -> Iterator[tuple[int, int]]:
        """Where there is data: (start, end), end excluded."""
        size = os.fstat(self.fd).st_size
        end = 0
        while end < size:
            try:
                start = os.lseek(self.fd, end, os.SEEK_DATA)
            except OSError:  # ENXIO: no data from here to the end
                return
            end = os.lseek(self.fd, start, os.SEEK_HOLE)
            yield start, end
