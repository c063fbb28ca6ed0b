"""Reading a text file that somebody else wrote: of a bounded size, never a device, never one that waits."""

import os
import stat
from pathlib import Path

from crashinit.errors import UsageError

LIMIT = 1 << 20  # bytes


def read(path: Path, what: str) -> str:
    """The text of a file, which is called `what` in a message ("the scenario").

    Raises UsageError for what is no regular file, has more than LIMIT bytes, cannot be read, or is not UTF-8.
    """
    try:
        # O_NONBLOCK: open(2) of a fifo without a writer does not wait, so that it can be refused.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{path}: {what} must be a regular file, and this is not one.")
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise UsageError(f"{path}: {what} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # a NUL in the path
        raise UsageError(f"{path}: {what} cannot be read: {error}.") from error
    if len(data) > LIMIT:
        raise UsageError(f"{path}: {what} has more than {LIMIT >> 20} MiB, and that is the limit.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: {what} is text in UTF-8, and this line is not.") from error
