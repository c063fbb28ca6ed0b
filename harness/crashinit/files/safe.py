"""Files that survive what happens to them: written in one step, and read as what may be damaged or somebody else's.

A file of a run is whole or is not there, whenever its writer is killed and whenever its disk is full.
"""

import errno
import gzip
import itertools
import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from crashinit.errors import HostError, UsageError

UNFINISHED = ".crashinit-"  # how the name of a file begins that is being written
MIB = 1 << 20
LIMIT = 256 * MIB  # bytes that are read of a stored file, or that it is inflated to
NO_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)

_numbers = itertools.count()


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to; it takes the place of `path` at the end, in one step, unless an exception came.

    Its directory is made. Raises HostError when the disk takes no more.
    """
    temporary = path.with_name(f"{UNFINISHED}{os.getpid()}-{next(_numbers)}")
    with disk_errors(path.parent):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                yield file
            temporary.replace(path)
        except OSError as error:
            if error.filename == str(temporary):  # people know the file by the name that it was to have
                error.filename, error.filename2 = str(path), None
            raise
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write(path: Path, data: bytes) -> None:
    """Write a file in one step. Raises as `replacing` does."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a text in one step, in UTF-8; what is no character (part of a name that is not UTF-8) is written as \\x."""
    write(path, text.encode("utf-8", "backslashreplace"))


@contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """A disk that takes no more becomes a HostError that says where and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_DISK:
            raise
        raise HostError(
            f"'{directory}': {error.strerror}: free some space there, or give another '--out'; "
            "'--resume' goes on with what was done"
        ) from error


@contextmanager
def damage(path: Path, remedy: str) -> Iterator[None]:
    """What a damaged file makes its reader raise becomes a UsageError that names it. FileNotFoundError goes on."""
    try:
        yield
    except (
        EOFError, gzip.BadGzipFile, zlib.error, struct.error, RecursionError,
        ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, MemoryError,
    ) as error:  # fmt: skip
        raise UsageError(f"'{path}' is damaged, or of another version: {remedy}.") from error


def inflated(path: Path, limit: int = LIMIT) -> bytes:
    """What a gzip file holds. Raises UsageError when that is more than `limit` bytes, and as gzip does."""
    with gzip.open(path, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UsageError(f"'{path}' holds more than {limit // MIB} MiB when it is inflated: it is not of this program.")
    return data


def text(path: Path, limit: int = LIMIT) -> str:
    """What a text file holds, in UTF-8. Raises UsageError when it is longer than `limit` bytes, ValueError, OSError."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UsageError(f"'{path}' holds more than {limit // MIB} MiB: it is not of this program.")
    return _decoded(data)


def parsed(data: str | bytes) -> Any:
    """JSON as its standard has it. Raises ValueError, also for NaN and for what is nested too deeply."""
    try:
        text = _decoded(data) if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_no_number, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON from line {error.lineno}, column {error.colno} on") from None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError(f"a number in it has {len(digits):,} digits") from None


def _no_number(word: str) -> None:
    raise ValueError(f"'{word}' is no number of JSON")


def sweep(directory: Path, but: Path | None = None) -> None:
    """Remove what writers that were killed have left unfinished in a directory; its owner alone may call this."""
    for path in directory.glob(f"{UNFINISHED}*"):
        if path == but:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
