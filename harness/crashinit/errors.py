"""What can go wrong in the harness itself, as sentences for people.

A failure of the driver is an outcome and not an exception. DriverError is the one exception to this rule: a driver
that fails without any fault cannot be tested. Each class has the exit code with which the command line ends (pytest's
codes).
"""

from typing import ClassVar

from crashinit.text.printable import printable


class CrashinitError(Exception):
    """The harness could not do its work. The message is one sentence: what, where, what to do.

    It may quote a guest, a scenario or an adapter, so its text is printable wherever it is shown.
    """

    exit_code: ClassVar[int] = 3
    details: str = ""  # what is known beyond the sentence: a traceback, for those who mend the harness

    def __str__(self) -> str:
        return printable(super().__str__())


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
