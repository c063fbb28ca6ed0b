"""Signals that a driver may catch, the end of one child, a stop for a while: what supervisors do to an init."""

from dataclasses import dataclass
from typing import Any

from crashinit.adapters.driven import GRACE, Driven
from crashinit.faults.fault import Acting, Way
from crashinit.model.fault import CHILD, INT, STOP, SUPERVISOR, TERM, FaultKind
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.scenario.scenario import Scenario


@dataclass(frozen=True)
class Signalled:
    """A signal to the driver alone, or to its whole control group; see faults/fault.py for the methods.

    Where the fault has seconds, who is left after these gets SIGKILL, as systemd.kill(5) has it.
    """

    kind: FaultKind
    signal: str

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        seconds = 0.0 if "seconds" in self.kind.refuses else scenario.seconds
        return [Way(victim, victim, seconds=seconds) for victim in scenario.victims]

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        _ask(driven, "gate_signal", trial, gate=gate, signal=self.signal, kill_after=trial.seconds or None)

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """While the driver has no child, a signal to it alone and to its tree are the same."""
        return alone


class Stopped(Signalled):
    """SIGSTOP, and SIGCONT after the trial's seconds."""

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        _ask(driven, "gate_pause", trial, gate=gate, seconds=trial.seconds)


class ChildKilled:
    """SIGKILL of the one process that is about to act, such as a mkfs, while the driver itself lives on."""

    kind = CHILD

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        return [] if acting and acting.is_the_driver else [Way("child", "child")]

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        _ask(driven, "gate_signal", trial, gate=gate, signal="SIGKILL")

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """It has one way only."""
        return True


def _ask(driven: Driven, call: str, trial: Trial, **arguments: Any) -> None:
    timeout = trial.setup.deadline + trial.seconds + GRACE
    driven.machine.call(call, timeout=timeout, victim=trial.victim, **arguments)


SIGNALS = (
    Signalled(TERM, "SIGTERM"),
    Signalled(INT, "SIGINT"),
    Signalled(SUPERVISOR, "SIGTERM"),
    Stopped(STOP, "SIGSTOP"),
)
