"""Nobody strikes the init: somebody else comes at the boundary, and the init goes on."""

from collections.abc import Sequence

from crashinit.adapters.driven import GRACE, Driven
from crashinit.faults.fault import Acting, Way
from crashinit.model.fault import ACTOR, ACTORS, HOLDERS, NONE
from crashinit.model.observation import Evidence, OperationRecord
from crashinit.model.trial import Trial
from crashinit.scenario.scenario import Scenario

MAKES, TAKES_AWAY = ("dm.resume", "loop.configure", "loop.set-fd"), ("dm.remove", "loop.clr-fd")


class SomebodyElse:
    """The fault 'actor'; see faults/fault.py for the methods. Other faults may have an actor as well."""

    kind = ACTOR

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        name = scenario.actor if scenario.actor in ACTORS else "command"
        return [Way(f"{name}-{scenario.release}", name)]

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        driven.machine.call("gate_resume", timeout=trial.setup.deadline + GRACE, gate=gate, stop="never")

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """It has one way only."""
        return True


class Nothing(SomebodyElse):
    """The fault 'none': what is around the init is the fault."""

    kind = NONE

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        return [Way("none", "call")]


def without_anything_to_take(actor: str, operations: Sequence[OperationRecord]) -> set[str]:
    """Keys of the boundaries at which an actor finds nothing: no device is there, or no file system on one."""
    if actor not in HOLDERS:
        return set()
    nothing: set[str] = set()
    devices: set[str] = set()
    formatted: set[str] = set()
    for operation in operations:
        makes = operation.program.startswith("mkfs") or operation.object.startswith("mkfs")
        if not devices or (actor == "mount" and (makes or not devices & formatted)):
            nothing.add(operation.key)
        if makes and operation.kind == "dev.write":
            formatted.add(operation.object)
        if operation.kind in MAKES:
            devices.add(operation.object)
        elif operation.kind in TAKES_AWAY:
            devices.discard(operation.object)
    return nothing
