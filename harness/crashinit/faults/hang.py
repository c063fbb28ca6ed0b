"""A call that does not return: the process that asked for it waits until the init's deadline."""

from crashinit.adapters.driven import GRACE, Driven
from crashinit.faults.fault import Acting, Way
from crashinit.model.fault import HANG
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.scenario.scenario import Scenario


class Hanging:
    """The fault 'hang'; see faults/fault.py for the methods."""

    kind = HANG

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        return [Way("hang", "call")]

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        driven.machine.call("gate_hang", timeout=trial.setup.deadline + GRACE, gate=gate)

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """It has one way only."""
        return True
