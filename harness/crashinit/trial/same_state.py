"""Trials whose faults leave the machine in one state have one future: one of them is run on, and stands for the others.

The gate stops every call that changes storage. Between two boundaries that only calls without such an effect lie
between, content cannot change; so the number of the last call before them stands for the content of files and devices,
and nothing of it is read. What else an init may find are the facts (guest/facts.py), of which the machine makes digests
after the fault. What the struck init still did after an error is told by its calls, and the data that it wrote.

Docs: decisions/0007-equal-states-are-one-trial.md, and limits.md for what this does not see.
"""

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crashinit.model.events import TrialResult
from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence, OperationRecord, Run
from crashinit.model.operations import READS
from crashinit.model.trial import Setup, Trial

# Kinds of operations that change nothing, or nothing but what the facts show whole. Of any other it is taken that it
# changes content.
SHOWN = (
    "exec", "exit", "process.clone", "process.pipe", "file.fsync", "dev.fsync", "sem.create", "sem.change", "sem.wait",
    "sem.set", "sem.remove", "file.mkdir", "file.rmdir", "file.chmod", "file.chown", "file.setxattr",
    "file.removexattr", "dm.create", "loop.get-free", "loop.configure", "loop.set-fd", "loop.set-status", "loop.clr-fd",
)  # fmt: skip
QUIET = frozenset((*SHOWN, *READS))
# Of these the record tells all that they do to content, so that two equal records are equal changes.
TOLD = frozenset((
    "file.create", "file.truncate", "file.rename", "file.unlink", "dev.discard", "mount.umount",
    "dm.table-load", "dm.table-clear", "dm.resume", "dm.suspend", "dm.remove", "dm.message",
))  # fmt: skip
WRITES = frozenset(("file.write", "dev.write"))  # and of these with the data
# What a run did not see, and yet is no matter: calls that failed, and modules, which are facts.
HARMLESS = ("io_uring_setup:", "system calls of ", "init_module:", "finit_module:", "delete_module:")
ONE_IN = 10  # of the trials that stand merged so many are run in full, to check


def gaps(run: Run) -> list[str]:
    """By what a run may have changed content unseen, as sentences: from there on no states are known to be equal."""
    return [sentence for sentence in run.unseen if not sentence.startswith(HARMLESS)]


def versions(operations: Sequence[OperationRecord]) -> dict[int, int]:
    """By the number of a boundary the number of the last operation before it that may have changed content."""
    found, last = {}, 0
    for operation in operations:
        found[operation.n] = last
        if operation.kind not in QUIET:
            last = operation.n
    return found


@dataclass(frozen=True)
class State:
    """What two trials have in common whose machines are in one state."""

    place: Hashable  # the recorded init, and the content there where the fault struck
    after: Hashable  # what the struck init did from then on
    facts: Hashable = None
    busy: bool = False  # udevd was at work: the facts are those of the rest that it comes to

    def with_facts(self, facts: Mapping[str, Any]) -> "State | None":
        """The same with the facts that were found; None where the machine did not come to rest."""
        if not facts["rested"]:
            return None
        return replace(self, facts=tuple(sorted(facts["digests"].items())), busy=facts["busy"])


def state_of(
    trial: Trial, recorded: int | None, earlier: Sequence[Run], run: Run, struck: OperationRecord
) -> State | None:
    """The state that a fault left, but for the facts; None where it is not known, so that the trial has to be run.

    `recorded`: which recorded init it was; None where all are the same. `struck`: where the fault struck `run`.
    """
    ran = [one for one in run.operations[struck.n - 1 :] if not one.detail.keys() & NOT_RUN]
    changed = [one for one in ran if one.kind not in QUIET]
    if trial.recovery != "init" or trial.actor or trial.udev or run.hung or any(map(gaps, (run, *earlier))):
        return None
    if any(not _is_told(one) for one in changed) or (kind_of(trial.fault).kills and changed):
        return None
    content = _content(run.operations[: struck.n])
    place = (recorded, trial.setup, trial.seed, trial.earlier, trial.earlier and trial.victim, trial.restarts, content)
    after = tuple((one.kind, one.object, tuple(sorted(one.detail.items()))) for one in changed)
    return State(place, (kind_of(trial.fault).goes_on and run.exit == 0, after))


NOT_RUN = {"killed", "errno", "hangs"}  # in an operation's detail: it was reached, and did not run


def _content(operations: Sequence[OperationRecord]) -> Hashable:
    """Which content there is at the last of these boundaries.

    The last operation that changes it has to be over: the program that asked for it has asked for something since.
    """
    *before, held = operations
    last = next((one for one in reversed(before) if one.kind not in QUIET), None)
    if last is None:
        return 0
    over = any(one.pid == last.pid for one in operations[last.n :])
    return last.n if over else (last.n, held.n)


def _is_told(operation: OperationRecord) -> bool:
    return operation.kind in TOLD or (operation.kind in WRITES and "data" in operation.detail)


class SameState:
    """The trials of one recorded init that were run, by the state that their faults left."""

    def __init__(self) -> None:
        self._place: Hashable = None
        self._done: dict[State, Evidence] = {}

    def find(self, state: State | None, trial: Trial) -> Evidence | None:
        """The evidence of another trial that stood in this state, if there was one."""
        found = self._done.get(state) if state else None
        return None if found is None or found.trial == trial.id else found

    def remember(self, state: State | None, evidence: Evidence) -> None:
        """Keep what came of a trial; what lies further back in its init no other trial will come to."""
        if state is None:
            return
        if state.place != self._place:
            self._place, self._done = state.place, {}
        self._done.setdefault(state, evidence)


def standing_for(leader: Evidence, trial: str, own: Mapping[str, Any]) -> Evidence:
    """The leader's evidence as that of a trial in the same state; what its own fault did and said stays its `own`."""
    changed: dict[str, Any] = {**own, "trial": trial, "same_as": "", "same_state_as": leader.trial}
    if leader.fault_run in leader.reinits:  # it succeeded in spite of its error, and so did this one
        changed["reinits"] = [own["fault_run"], *leader.reinits[1:]]
    return leader.model_copy(update=changed)


def sample(merged: Iterable[tuple[str, str]]) -> list[str]:
    """Of the trials that stand merged, as (id, kind), those to be run in full: the same each time, of each kind one."""
    chosen: list[str] = []
    kinds: set[str] = set()
    for trial, kind in sorted(merged, key=lambda pair: _number(pair[0])):
        if kind not in kinds or _number(trial) % ONE_IN == 0:
            kinds.add(kind)
            chosen.append(trial)
    return chosen


def difference(merged: TrialResult, full: TrialResult) -> str:
    """What of a trial came out differently when it was run in full, as half a sentence; "": nothing did."""
    was, came = ({clause for clause, status in one.clauses.items() if status == "fail"} for one in (merged, full))
    if merged.outcome == full.outcome and was == came:
        return ""
    clauses = f" ({', '.join(sorted(was ^ came))})" if was != came else ""
    return (
        f"'{merged.id}' stands in the state of '{merged.same_state_as}', and in full it {full.outcome} "
        f"where that one {merged.outcome}{clauses}"
    )


def unmerged(references: Mapping[Setup, Evidence], trials: Sequence[Trial]) -> list[str]:
    """Where no trial stands for another in its state, because the driver changes content unseen; as sentences."""
    setups = dict.fromkeys(trial.setup for trial in trials if not kind_of(trial.fault).cuts_power)
    found = [gap for setup in setups if setup in references for gap in gaps(references[setup].fault_run)]
    return [f"no trial stands for another in its state from there on: {gap}" for gap in dict.fromkeys(found)]


def is_sampled(trial: str) -> bool:
    """Whether a trial is among the one in ten."""
    return _number(trial) % ONE_IN == 0


def _number(trial: str) -> int:
    return int.from_bytes(hashlib.sha256(trial.encode("utf-8", "surrogatepass")).digest()[:8], "big")
