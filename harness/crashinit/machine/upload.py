"""Files and directories of the host, put into a machine: read from the disk as they are sent, never whole in memory."""

import io
import stat
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from crashinit.errors import UsageError
from crashinit.machine.protocol import Machine

Upload = tuple[Path, str]  # a file or directory of the host, and its absolute path in the machine

# A machine's root disk has 2 GiB. Sizes are those that files seem to have: a hole is sent like any other content.
LIMIT = 1 << 30  # bytes of all files together
ENTRIES = 50_000  # files and directories
BATCH = 1 << 20  # bytes of small files that are sent at once; a larger file is sent by itself, in pieces


def listed(uploads: Sequence[Upload]) -> list[Upload]:
    """These files, and all that is in these directories, each with its path in the machine.

    Raises UsageError for what cannot be read or sent, and for more than LIMIT bytes or ENTRIES entries.
    """
    found: list[Upload] = []
    total = 0
    for source, target in uploads:
        for path, there in _walked(source, target):
            size = _size(path)
            total += size
            if total > LIMIT:
                which = (
                    f"'{path}' has {size:,} bytes" if size > LIMIT else f"'{source}' and what is before it have more"
                )
                raise UsageError(f"{which}: at most {LIMIT >> 30} GiB can be put into a machine.")
            found.append((path, there))
            if len(found) > ENTRIES:
                raise UsageError(
                    f"'{source}': at most {ENTRIES:,} files can be put into a machine, and there are more."
                )
    return found


def upload(machine: Machine, uploads: Sequence[Upload]) -> None:
    """Put files and directories into a machine, owned by root. Raises UsageError, GuestError."""
    batch = _Batch(machine)
    for path, target in listed(uploads):
        try:
            if path.is_file() and not path.is_symlink() and path.stat().st_size > BATCH:
                machine.put(path, target, stat.S_IMODE(path.stat().st_mode))
            else:
                batch.add(path, target)
        except OSError as error:
            raise UsageError(f"'{path}' cannot be put into a machine: {error.strerror or error}.") from error
    batch.send()


class _Batch:
    """Small files on their way, as an archive in memory."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._begin()

    def _begin(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._buffer, mode="w")

    def add(self, path: Path, target: str) -> None:
        entry = self._tar.gettarinfo(path, target.lstrip("/"))
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        if entry.isreg():
            with path.open("rb") as file:
                self._tar.addfile(entry, file)
        else:
            self._tar.addfile(entry)
        if self._buffer.tell() > BATCH:
            self.send()

    def send(self) -> None:
        """Unpack in the machine what was added."""
        self._tar.close()
        self._machine.run("tar", "-C", "/", "-xf", "-", input=self._buffer.getvalue()).check()
        self._begin()


def _walked(source: Path, target: str) -> Iterator[Upload]:
    """A file, or a directory and all that is below it, a directory before what is in it."""
    waiting = [(source, target)]
    while waiting:
        path, there = waiting.pop()
        yield path, there
        if path.is_dir() and not path.is_symlink():
            try:
                entries = sorted(path.iterdir(), reverse=True)
            except OSError as error:
                raise UsageError(f"'{path}' cannot be put into a machine: {error.strerror}.") from error
            waiting += [
                (entry, f"{there.rstrip('/')}/{entry.name}") for entry in entries if entry.name != "__pycache__"
            ]


def _size(path: Path) -> int:
    try:
        status = path.lstat()
    except OSError as error:
        raise UsageError(f"'{path}' cannot be put into a machine: {error.strerror}.") from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        raise UsageError(f"'{path}' cannot be put into a machine: it is no file, directory or symbolic link.")
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
