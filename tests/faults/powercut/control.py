"""The control program: writes a file in one of several ways, of which each may lose something else to a power cut.

Usage: control.py WAY DIRECTORY
"""

import os
import sys
from pathlib import Path

WAYS = {
    # name: (the target exists before, the file is flushed, the directory is flushed)
    "unflushed": (True, False, False),
    "directory-unflushed": (True, True, False),
    "file-unflushed": (False, False, True),
    "durable": (True, True, True),
}


def flush(path: Path) -> None:
    """fsync(2) a file or a directory."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def main(way: str, directory: Path) -> None:
    """Write "new" to the target by way of another name; first "old", durably, if there is to be a target before."""
    exists, flush_file, flush_directory = WAYS[way]
    target, temporary = directory / "target", directory / "temporary"
    if exists:
        target.write_text("old")
        flush(target)
        flush(directory)
    temporary.write_text("new")
    if flush_file:
        flush(temporary)
    temporary.rename(target)
    if flush_directory:
        flush(directory)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
