"""What a machine, a template and a provider are: the seam where providers plug in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from crashinit.machine.files import File

# What a machine's clock follows: the host's time, or a count of its own instructions.
Time = Literal["real", "virtual"]


@dataclass(frozen=True)
class Completed:
    """A command that ran in a machine."""

    argv: tuple[str, ...]
    exit: int  # exit status; negative: ended by that signal
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool

    def check(self) -> "Completed":
        """Return self, or raise GuestError that carries the command, its exit status and what it printed."""
        from crashinit.errors import GuestError

        if self.exit != 0 or self.timed_out:
            said = (self.stderr or self.stdout).strip()
            how = "did not end in time" if self.timed_out else f"ended with {self.exit}"
            raise GuestError(f"'{' '.join(self.argv)}' {how} in the machine: {said}")
        return self


class Machine(Protocol):
    """One disposable VM. A context manager: leaving it closes it."""

    @property
    def time(self) -> "Time":
        """What its clock follows."""

    @property
    def kernel(self) -> str:
        """The release of its kernel, as its agent has told; "": that is not known."""

    @property
    def elapsed(self) -> float | None:
        """Seconds by its own clock, from a fixed moment to its agent's last answer; None if it does not tell."""

    def call(self, name: str, /, *, timeout: float = 60.0, **arguments: Any) -> Any:
        """Ask the guest agent for one call; see guest/agent.py for the calls.

        Raises MachineError when the machine is gone or does not answer within `timeout` seconds,
        GuestError when the agent reports that the call failed.
        """

    def run(
        self,
        *argv: str,
        input: bytes = b"",
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command as root."""

    def put(self, data: bytes | Path, target: str, mode: int = 0o644) -> None:
        """Write a file, and the directories above it, in one step. A file of the host goes there in pieces.

        Raises UsageError for a file that is too large; an error names the file.
        """

    def get(self, path: str) -> bytes:
        """The content of a file. Raises GuestError when it is not there or too large to be held in memory."""

    def console(self) -> str:
        """Everything that the machine printed on its serial console so far."""

    def power_cut(self) -> None:
        """Cut the power and boot again: what was not on the disk is lost."""

    def reboot(self) -> None:
        """Restart in an orderly way: what was written is on the disk."""

    def fork(self) -> "Template":
        """Freeze this machine as it is now into a new template, and let it go on."""

    def close(self) -> None:
        """End the machine and remove all that it used; closing twice does nothing."""

    def __enter__(self) -> "Machine": ...

    def __exit__(self, *exc: object) -> None: ...


@runtime_checkable
class Pluggable(Machine, Protocol):
    """A machine that takes further disks while it runs."""

    def plug(self, disk: File, serial: str, log: File | None = None) -> str:
        """Plug in a disk with that serial number, and wait for its node; the node's path.

        With `log`, an empty file, every write, flush and discard is logged there in the format of dm-log-writes
        (Documentation/admin-guide/device-mapper/log-writes.rst). Raises MachineError when no port is free.
        """


class Template(Protocol):
    """A booted machine, frozen. A context manager: leaving it frees what it holds."""

    def clone(self, *, forkable: bool = False, seed: int | None = None) -> Machine:
        """Start a machine from here; `forkable` if fork() will be called on it.

        `seed`: of this machine and what is forked from it, in the place of the provider's; only where that `repeats`.
        """

    def derive(self, prepare: Callable[[Machine], None]) -> "Template":
        """A new template: a clone of this one, prepared by the function."""

    def close(self) -> None: ...

    def __enter__(self) -> "Template": ...

    def __exit__(self, *exc: object) -> None: ...


class Provider(Protocol):
    """A way to get machines on this host."""

    name: str
    forks: bool  # whether its machines can be forked; else a trial takes place in the recorded init's own machine
    repeats: bool  # whether a machine that gets the same calls does the same again, to the nanosecond
    seed: str | None  # what it then begins with: another one is another interleaving
    guest: str  # what its machines run: the name of a guest, or the path of its file

    @property
    def accel(self) -> str:
        """What machines run under: "kvm" or "tcg"."""

    def plugging(self) -> "Provider | None":
        """Whose machines take further disks (Pluggable): its own, those of another beside it, or nobody's."""

    def template(self, packages: tuple[str, ...] = ()) -> Template:
        """The base template, with the guest code and these Debian packages beyond the standard ones."""

    def close(self) -> None: ...
