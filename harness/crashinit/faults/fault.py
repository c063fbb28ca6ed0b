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


class Fault(Protocol):
    """A fault that strikes an init which is held at a boundary."""

    kind: FaultKind

    def ways(self, scenario: Scenario, operation: str | None) -> list[Way]:
        """What a scenario does at a boundary before an operation of this kind; None: the trace has no such boundary."""
        ...

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        """Do it to the init that the gate holds. The init then ends, or goes on to its end."""
        ...

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """Whether this fault upon another victim at the same boundary would be the very one that `done` shows.

        `alone`: the driver has no process there but its first.
        """
        ...
