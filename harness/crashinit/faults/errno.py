"""A call returns an error instead of running: once, or each time that it comes from then on."""

from crashinit.adapters.driven import GRACE, Driven
from crashinit.faults.fault import Acting, Way
from crashinit.model.fault import ERRNO
from crashinit.model.observation import Evidence, OperationRecord, Run
from crashinit.model.trial import Trial
from crashinit.scenario import errnos
from crashinit.scenario.scenario import Scenario

ONCE, ALWAYS = "once", "always"  # one call, or that and every later one of its kind on its object


class FailedCall:
    """The fault 'errno'; see faults/fault.py for the methods."""

    kind = ERRNO

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        possible = scenario.errnos if acting is None else errnos.errors_of(acting.kind)
        return [
            Way(f"{error}-{lasting}", lasting, error)
            for error in scenario.errnos
            if error in possible
            for lasting in (ONCE, ALWAYS)
        ]

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        driven.machine.call(
            "gate_fail",
            timeout=trial.setup.deadline + GRACE,
            gate=gate,
            errno=errnos.number(trial.error),
            forever=trial.victim == ALWAYS,
            stop="never",
        )

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """An error that strikes once stands for one that lasts, if the call never comes again."""
        return done.fired is not None and came_once(done.fault_run, done.fired)


def came_once(run: Run, struck: OperationRecord) -> bool:
    """Whether a call that failed was the last of its kind on its object, so that an error which lasts is no other.

    A daemon that is ready goes on, and what it asks for from then on is in no record.
    """
    later = run.operations[struck.n :]
    return run.exit is not None and (struck.kind, struck.object) not in {(call.kind, call.object) for call in later}
