"""A directory as one tar archive packed with gzip: the same bytes for the same files, and read as a stranger's.

The archive is a plain ustar (POSIX.1-1988): regular files alone, in the order of their names, of nobody and of no time.
It is read header by header, so that nothing of it is trusted before it is looked at; nothing else is ever unpacked.
"""

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import IO

from crashinit.errors import UsageError
from crashinit.files.safe import MIB, replacing

LARGEST = 1024 * MIB  # bytes of one file
LIMIT = 2048 * MIB  # bytes of all of them
ENTRIES = 50_000
BLOCK = tarfile.BLOCKSIZE
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)
READABLE, EXECUTABLE = 0o644, 0o755


def pack(directory: Path, target: Path) -> None:
    """Write all regular files below a directory into one archive, whole or not at all.

    Raises UsageError for what `unpack` would refuse, HostError when the disk takes no more.
    """
    if not target.absolute().parent.is_dir():
        raise UsageError(f"'{target.parent}' is no directory: name a file in one that there is.")
    paths = sorted((path for path in directory.rglob("*") if not path.is_dir()), key=str)
    bounds = _Bounds(target)
    with (
        replacing(target) as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in paths:
            entry = tarfile.TarInfo(str(path.relative_to(directory)))
            entry.size = path.stat().st_size
            entry.mode = EXECUTABLE if path.stat().st_mode & 0o100 else READABLE
            bounds.admit(entry)
            try:
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            except ValueError as error:
                raise UsageError(f"'{entry.name}' cannot be packed: {error}.") from error


def unpack(source: Path, directory: Path) -> None:
    """Unpack such an archive below an empty directory; a file that is executable is so for all.

    Raises UsageError for what is none: another format, links and devices, a name that leads elsewhere or comes twice,
    and for more than the limits. What was written until then stays, for the caller to remove. Raises OSError.
    """
    bounds = _Bounds(source)
    try:
        with gzip.open(source, "rb") as packed:
            while entry := _next(packed, bounds):
                path = directory / entry.name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    _copy(packed, file, entry.size)
                path.chmod(EXECUTABLE if entry.mode & 0o100 else READABLE)
            if packed.read(tarfile.RECORDSIZE).strip(b"\0") or packed.read(1):  # to the end, where the checksum is
                raise bounds.refused("something follows behind its end")
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise bounds.refused("two of its files have one name") from error
    except (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError, UnicodeDecodeError) as error:
        raise bounds.refused("it is no such archive, or is cut off") from error


class _Bounds:
    """What all files of an archive must keep to."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._size = self._count = 0

    def admit(self, entry: tarfile.TarInfo) -> None:
        """Raise UsageError for a file that no archive may hold."""
        name = entry.name
        if entry.type not in REGULAR:
            raise self.refused(f"'{name}' is no regular file")
        if not name.isprintable() or any(part in ("", ".", "..") for part in name.split("/")):
            raise self.refused(f"'{name}' leads out of it, or is no name for a file")
        self._size += entry.size
        self._count += 1
        if not 0 <= entry.size <= LARGEST or self._size > LIMIT:
            raise self.refused(f"it holds more than {LIMIT >> 30} GiB, or one file of more than {LARGEST >> 30} GiB")
        if self._count > ENTRIES:
            raise self.refused(f"it holds more than {ENTRIES:,} files")

    def refused(self, why: str) -> UsageError:
        return UsageError(f"'{self._archive}' is not taken: {why}.")


def _next(packed: gzip.GzipFile, bounds: _Bounds) -> tarfile.TarInfo | None:
    """The next file's header; None at the end."""
    header = packed.read(BLOCK)
    if len(header) < BLOCK:
        raise EOFError
    if header == bytes(BLOCK):
        return None
    entry = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    bounds.admit(entry)
    return entry


def _copy(packed: gzip.GzipFile, file: IO[bytes], size: int) -> None:
    left = size
    while left:
        piece = packed.read(min(left, MIB))
        if not piece:
            raise EOFError
        file.write(piece)
        left -= len(piece)
    packed.read(-size % BLOCK)  # the rest of the last block means nothing
