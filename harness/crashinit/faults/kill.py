"""SIGKILL: of the driver alone, or of its whole control group at once."""

from crashinit.adapters.driven import Driven
from crashinit.faults.fault import Acting, Way
from crashinit.model.fault import KILL
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.scenario.scenario import Scenario


class Kill:
    """The fault 'kill'; see faults/fault.py for the methods."""

    kind = KILL

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        return [Way(victim, victim) for victim in scenario.victims]

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        driven.machine.call("gate_kill", gate=gate, victim=trial.victim)

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """While the driver has no child, to kill it alone and to kill its tree are the same."""
        return alone
