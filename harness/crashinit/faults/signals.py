"""Signals that a driver may catch, the end of one child, a stop for a while: what supervisors do to an init."""

from dataclasses import dataclass

from crashinit.adapters.driven import GRACE, Driven
from crashinit.faults.fault import Acting, Way
from crashinit.model.fault import CHILD, INT, STOP, SUPERVISOR, TERM, FaultKind
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.scenario.scenario import Scenario


@dataclass(frozen=True)
class Signalled:
    """A signal to the driver alone, or to its whole control group; see faults/fault.py for the methods.

    `insists`: who is left after the trial's seconds gets SIGKILL, as systemd.kill(5) has it. `pauses`: who was stopped
    goes on after the trial's seconds.
    """

    kind: FaultKind
    signal: str
    insists: bool = False
    pauses: bool = False

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        seconds = scenario.seconds if self.insists or self.pauses else 0.0
        return [Way(victim, victim, seconds=seconds) for victim in scenario.victims]

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        call = "gate_pause" if self.pauses else "gate_signal"
        more = (
            {"seconds": trial.seconds} if self.pauses else {"signal": self.signal, "kill_after": self._patience(trial)}
        )
        timeout = trial.setup.deadline + trial.seconds + GRACE
        driven.machine.call(call, timeout=timeout, gate=gate, victim=trial.victim, **more)

    def _patience(self, trial: Trial) -> float | None:
        return trial.seconds if self.insists else None

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """While the driver has no child, a signal to it alone and to its tree are the same."""
        return alone


class ChildKilled:
    """SIGKILL of the one process that is about to act, such as a mkfs, while the driver itself lives on."""

    kind = CHILD

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        return [] if acting and acting.is_the_driver else [Way("child", "child")]

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        timeout = trial.setup.deadline + GRACE
        driven.machine.call(
            "gate_signal", timeout=timeout, gate=gate, signal="SIGKILL", victim="child", kill_after=None
        )

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """It has one way only."""
        return True


SIGNALS = (
    Signalled(TERM, "SIGTERM"),
    Signalled(INT, "SIGINT"),
    Signalled(SUPERVISOR, "SIGTERM", insists=True),
    Signalled(STOP, "SIGSTOP", pauses=True),
)
