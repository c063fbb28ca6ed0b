"""What can go wrong in the harness itself, as sentences for people.

But for DriverError none of these is ever the driver's fault: a driver's failure is an outcome, not an exception.
Each class bears the exit code that the command line ends with (pytest's codes).
"""

from typing import ClassVar


class CrashinitError(Exception):
    """The harness could not do its work. The message is one sentence: what, where, what to do."""

    exit_code: ClassVar[int] = 3


class UsageError(CrashinitError):
    """The user's input is wrong: a scenario, an option, an adapter file."""

    exit_code: ClassVar[int] = 4


class NothingRanError(CrashinitError):
    """No trial is left to run: the selection matches none."""

    exit_code: ClassVar[int] = 5


class DriverError(CrashinitError):
    """The driver does not work without any fault, so that no trial would show anything."""

    exit_code: ClassVar[int] = 1


class HostError(CrashinitError):
    """The host lacks something: QEMU, a package, free disk space, permission."""


class MachineError(CrashinitError):
    """A machine failed the harness: it died, never came up, or its agent stopped answering."""


class GuestError(CrashinitError):
    """The harness's own code inside the machine failed; never used for a failure of the driver."""
