"""A trial: one fault at one boundary of one init."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter

FRESH, POPULATED = "fresh", "populated"
ON_THE_MACHINES_DISK = (FRESH, POPULATED)


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

    @property
    def used(self) -> bool:
        """Whether the inits begin on a root that a driver has used before."""
        return self.given == POPULATED or self.given.endswith(f"-{POPULATED}")

    @property
    def disks(self) -> str:
        """The disks that the root lies on, by their layout's name; "": the machine's own."""
        return "" if self.given in ON_THE_MACHINES_DISK else self.given.removesuffix(f"-{POPULATED}")


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
    seconds: float = 0.0  # of fault "supervisor": from SIGTERM to SIGKILL; of "stop": how long

    __pydantic_config__ = ConfigDict(extra="forbid")  # what a later version plans, this one cannot do

    def as_json(self) -> dict[str, Any]:
        """The trial as a plan file holds it."""
        unset = {name: getattr(type(self), name) for name in ("seed", "guest", "seconds", "actor", "release", "udev")}
        return {key: value for key, value in asdict(self).items() if key not in unset or value != unset[key]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Trial":
        """The inverse of as_json. Raises ValueError."""
        return _TRIAL.validate_python(data)


_TRIAL = TypeAdapter(Trial)
