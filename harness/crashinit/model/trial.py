"""A trial: one fault at one boundary of one init."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ConfigDict, TypeAdapter

FRESH, POPULATED = "fresh", "populated"
# What the driver does while it is struck: its init, its shutdown, or what a user has asked a driver for that is up
INIT, SHUTDOWN, CREATE, REMOVE, USE = "init", "shutdown", "create", "remove", "use"
DURING = (INIT, SHUTDOWN, CREATE, REMOVE, USE)
MADE_BY = "made-by:"  # before the adapter of the driver that made the root, and '@' with its guest if that is another


def on_the_machines_disk(given: str) -> bool:
    """Whether a root lies on the disk that the machine starts from; else on disks of its own, which lose power."""
    return given in (FRESH, POPULATED) or given.startswith(MADE_BY)


@dataclass(frozen=True)
class Point:
    """One boundary of a trace: the moment just before this operation."""

    step: str
    phase: str
    n: int  # ordinal of the operation in the trace, 0: it does not occur there
    operation: str  # its key


@dataclass(frozen=True)
class Setup:
    """What must be the same for two trials to begin from one recorded init."""

    given: str
    options: tuple[str, ...]
    deadline: float  # seconds
    reads: bool = False  # what only asks is an operation as well, for errors to strike
    during: str = INIT  # what is struck, one of DURING
    surroundings: tuple[str, ...] = ()  # what is scarce around the struck init, adapters/around.py: "nofile=16"
    lasting: bool = False  # around all later inits as well
    on_a_disk: bool = False  # the root lies on a disk that can be made bad, adapters/disk.py

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def plain(self) -> "Setup":
        """The same without what is scarce."""
        return replace(self, surroundings=(), lasting=False)

    def as_json(self) -> dict[str, Any]:
        """The setup as a file holds it: what is as usual is left out."""
        usual = Setup(self.given, self.options, self.deadline)
        always = ("given", "options", "deadline", "reads")
        return {key: value for key, value in asdict(self).items() if key in always or value != getattr(usual, key)}

    @classmethod
    def from_json(cls, data: Any) -> "Setup":
        """The inverse of as_json; earlier versions have written a list. Raises ValueError."""
        if isinstance(data, list):
            data = dict(zip(("given", "options", "deadline", "reads"), data, strict=False))
        return _SETUP.validate_python(data)

    @property
    def used(self) -> bool:
        """Whether the inits begin on a root that a driver has used before."""
        return self.given == POPULATED or self.given.endswith(f"-{POPULATED}") or self.made_elsewhere

    @property
    def made_elsewhere(self) -> bool:
        """Whether another driver has made the root."""
        return self.given.startswith(MADE_BY)

    @property
    def disks(self) -> str:
        """The disks that the root lies on, by their layout's name; "": the machine's own."""
        return "" if on_the_machines_disk(self.given) else self.given.removesuffix(f"-{POPULATED}")


@dataclass(frozen=True)
class Trial:
    """One fault at one boundary on one fresh machine, then re-init, then the check. Self-contained and picklable."""

    id: str
    driver: str
    scenario: str
    setup: Setup
    point: Point
    fault: str
    victim: str  # "process", "tree", "child", "call"; of an error: "once", or "always"; of a power cut: "machine"
    restarts: int
    error: str = ""  # of fault "errno": the name of the error
    recovery: str = "init"  # or "reboot" and then init
    earlier: Point | None = None  # a boundary of the first init, at which that was killed; `point` is of the re-init
    state: str = ""  # of a power cut: the crash state that it leaves; of a second one: both, "first+second"
    seed: int | None = None  # where machines repeat themselves: that of its machines; None: the run's own
    guest: str = ""  # what its machines run; "": the default guest, or the run's own
    actor: str = ""  # who comes at the boundary, before the fault strikes: see model/fault.py, or a command
    release: str = ""  # when that one lets go: "before", "during" or "after" the re-init, or "never"
    udev: str = ""  # how udevd behaves from the boundary on, adapters/udev.py; "": as it does
    lasts: int = 0  # of a fault on a disk: until so many operations later; 0: to the init's end
    repeat: int = 1  # how many inits in a row are struck there
    seconds: float = 0.0  # of fault "supervisor": from SIGTERM to SIGKILL; of "stop": how long

    __pydantic_config__ = ConfigDict(extra="forbid")  # what a later version plans, this one cannot do

    def as_json(self) -> dict[str, Any]:
        """The trial as a plan file holds it."""
        unset = {
            name: getattr(type(self), name)
            for name in ("seed", "guest", "seconds", "actor", "release", "udev", "repeat", "lasts")
        }
        given = {**asdict(self), "setup": self.setup.as_json()}
        return {key: value for key, value in given.items() if key not in unset or value != unset[key]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Trial":
        """The inverse of as_json. Raises ValueError."""
        return _TRIAL.validate_python(data)


_SETUP = TypeAdapter(Setup)
_TRIAL = TypeAdapter(Trial)
