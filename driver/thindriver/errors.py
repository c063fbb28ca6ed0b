"""What can go wrong, as one sentence for people: `thindriver: <step>: <what>: <cause>`."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class DriverError(Exception):
    """The driver could not do its work. The message is one sentence: what, on which object, why."""

    exit_code = 1

    def __init__(self, message: str, step: str = "") -> None:
        super().__init__(message)
        self.step = step


class UsageError(DriverError):
    """The caller's input is wrong. Raised before anything is touched."""

    exit_code = 2


class doing:  # noqa: N801 - reads as a verb: `with doing("create '/x'"):`
    """Turn every OSError from the block into a sentence; `what` names the object: 'cannot <what>: <cause>'."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise DriverError(f"cannot {self.what}: {cause(error, self.what)}") from error


class step:  # noqa: N801 - reads as a noun: `with step("mkfs"):`
    """Give every error from the block the name of the step it happened in."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise DriverError(cause(error), self.name) from error
        if isinstance(error, DriverError) and not error.step:
            error.step = self.name


def cause(error: OSError, said: str = "") -> str:
    """Why a call failed, with the file that it is about, unless there is none or it was `said` already."""
    file = str(error.filename or "")
    return f"'{file}': {words(error)}" if file and file not in said else words(error)


def words(error: OSError) -> str:
    """The kernel's own words for an error."""
    return os.strerror(error.errno) if error.errno else str(error)
