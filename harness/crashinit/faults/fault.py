"""A fault: how it is planned at a boundary, how it strikes there, and when two of them are the very same."""

from dataclasses import dataclass
from typing import Protocol

from crashinit.adapters.driven import Driven
from crashinit.model.fault import FaultKind
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.scenario.scenario import Scenario


@dataclass(frozen=True)
class Way:
    """One way in which a fault strikes at one boundary."""

    name: str  # the end of the trial's id
    victim: str
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Acting:
    """What is about to happen at a boundary: an operation of this kind, by the driver itself or by a child of it."""

    kind: str
    is_the_driver: bool = True


class Fault(Protocol):
    """A fault that strikes an init which is held at a boundary."""

    @property
    def kind(self) -> FaultKind:
        """What it means for a plan, a run and a judgement."""
        ...

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        """What a scenario does at a boundary where this is about to happen; None: the trace has no such boundary."""
        ...

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        """Do it to the init that the gate holds. The init then ends, or goes on to its end."""
        ...

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """Whether this fault upon another victim at the same boundary would be the very one that `done` shows.

        `alone`: the driver has no process there but its first.
        """
        ...
