"""The disk below the root's files is bad, or slow, from one boundary to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from crashinit.adapters.driven import GRACE, Driven
from crashinit.errors import UsageError
from crashinit.faults.fault import Acting, Way
from crashinit.model.fault import BAD_DISK, SLOW, FaultKind
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.scenario.scenario import Scenario

# Of an operation up to the next boundary, the reads and writes that reach the disk
Activity = Mapping[str, tuple[int, int]]
NO_ACTIVITY: Activity = MappingProxyType({})
NOTHING = (0, 0)
DELAY = 0.5  # seconds that a slow disk takes for each request, unless a scenario says otherwise


@dataclass(frozen=True)
class OnADisk:
    """The faults 'bad-disk' and 'slow'; see faults/fault.py for the methods.

    What was read before is dropped from memory when it begins. It fires where the disk is asked for something, and
    lasts until it has.
    """

    kind: FaultKind

    def ways(self, scenario: Scenario, acting: Acting | None) -> list[Way]:
        if self.kind is SLOW:
            return [Way("slow", "slow", seconds=scenario.seconds if "seconds" in scenario.model_fields_set else DELAY)]
        return [Way(condition, condition) for condition in scenario.disk]

    def strike(self, driven: Driven, gate: str, trial: Trial) -> None:
        disk = driven.disk
        if disk is None:
            raise UsageError(f"'fault: {self.kind.name}' needs a disk below the root, and this trial has none.")
        timeout = trial.setup.deadline + GRACE
        disk.flush()
        before = sum(disk.requests())
        disk.become(trial.victim, trial.seconds)
        end = trial.point.n + trial.lasts
        state = driven.machine.call("gate_resume", timeout=timeout, gate=gate, stop=end if trial.lasts else "never")
        # Until it has struck; zeros only as long as nothing is to be written, for what is written then is lost.
        while state["operation"] and sum(disk.requests()) == before and trial.victim != "zeros":
            end += 1
            state = driven.machine.call("gate_resume", timeout=timeout, gate=gate, stop=end)
        driven.reached = sum(disk.requests()) - before
        disk.become("")
        disk.flush()  # what was read while it was bad is not to be found in memory
        if state["operation"]:
            driven.machine.call("gate_resume", timeout=timeout, gate=gate, stop="never")

    def is_same(self, done: Evidence, *, alone: bool) -> bool:
        """Each condition of a disk is another one."""
        return False


ON_A_DISK = (OnADisk(BAD_DISK), OnADisk(SLOW))


def idle(condition: str, operations: Sequence[str], activity: Activity, lasts: int) -> set[str]:
    """Of these operations, in their order, those from which on a disk in this condition changes nothing for so many; 0:
    to the end.

    Zeros are for reads: where a driver writes, they would take from the file system what no driver can give back.
    """
    found = set()
    for index, key in enumerate(operations):
        window = operations[index : index + lasts] if lasts else operations[index:]
        reads, writes = (sum(activity.get(one, NOTHING)[each] for one in window) for each in (0, 1))
        touched = {"zeros": bool(reads and not writes), "lost-writes": bool(writes)}
        if not touched.get(condition, bool(reads or writes)):
            found.add(key)
    return found
