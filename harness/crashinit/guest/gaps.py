"""What could not be observed, and whose fault that is: the state's, or the harness's that looks at it."""

import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from .process import ToolError

# What a machine without memory or descriptors gives, and a call that was disturbed: none of it is a property of a disk.
STARVED = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EINTR)


class Gaps:
    """Sentences about what was not seen, each after the names of the observation's parts that it concerns."""

    def __init__(self) -> None:
        self.problems: list[str] = []  # the state cannot be seen because it is what it is
        self.unseen: list[str] = []  # the harness could not look

    def state(self, parts: str, sentence: str) -> None:
        """The state itself is to blame."""
        self.problems.append(f"{parts}: {sentence}")

    def harness(self, parts: str, sentence: str) -> None:
        """The harness is to blame."""
        self.unseen.append(f"{parts}: {sentence}")

    @contextmanager
    def looking(self, parts: str, otherwise: str) -> Iterator[None]:
        """An error inside becomes a gap, which begins with the words `otherwise`."""
        try:
            yield
        except (ToolError, OSError, ValueError, LookupError, struct.error) as error:
            said = f"{otherwise}: {reason(error)}"
            if is_ours(error):
                self.harness(parts, said)
            else:
                self.state(parts, said)


def is_ours(error: BaseException) -> bool:
    """Whether an error says something of the harness and its machine, and nothing of the state that is looked at."""
    return isinstance(error, ToolError) or (isinstance(error, OSError) and error.errno in STARVED)


def reason(error: BaseException) -> str:
    """What went wrong, in the system's words where it has some."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
