"""A family: what drivers of one kind have in common, and what it owes the harness.

The contract's core holds for whatever brings storage up. A family adds what only its kind of driver has: the steps of
its init, what an adapter may expect of it, clauses of its own, and the part of the probe that looks at its devices.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from crashinit.contract.canonical import Allowance
from crashinit.contract.case import Case
from crashinit.contract.clauses import CORE, Clause
from crashinit.contract.expectation import Asked, Expectation
from crashinit.contract.leftovers import idle_loops
from crashinit.model.observation import Observation, OperationRecord
from crashinit.model.operations import READS
from crashinit.model.trial import INIT


def by_patterns(patterns: Mapping[str, Sequence[str]], operations: Sequence[OperationRecord]) -> list[str]:
    """The steps of a trace where patterns (as of fnmatch, of an operation's kind and object) say what begins each.

    A trace goes through them in their order and never back; what comes before the second one is part of the first.
    """
    names = list(patterns)
    reached, steps = 0, []
    for operation in operations:
        what = f"{operation.kind} {operation.object}"
        begun = [n for n in range(reached + 1, len(names)) if any(fnmatchcase(what, p) for p in patterns[names[n]])]
        reached = begun[0] if begun else reached
        steps.append(names[reached])
    return steps


Entries = Sequence[tuple[str, str, Callable[[OperationRecord], bool]]]  # step, the one it comes after, what begins it


def by_entries(steps: Sequence[str], entries: Entries, operations: Sequence[OperationRecord]) -> list[str]:
    """The steps of a trace that goes through them in their order and never back, and may pass some over.

    A step begins at an operation that changes something, once the trace has reached the step that it comes after. The
    driver's exit ends the last one.
    """
    reached, found = 0, []
    for operation in operations:
        for step, after, begins in entries:
            n = steps.index(step)
            if operation.kind not in READS and steps.index(after) <= reached < n and begins(operation):
                reached = n
                break
        found.append(steps[-1] if operation.kind == "exit" else steps[reached])
    return found


@dataclass(frozen=True)
class OwnDisks:
    """Disks of the driver's own beside the one that its root lies on, for power cuts."""

    sizes: Callable[[Expectation], Sequence[int]]  # bytes of each
    options: Callable[[Sequence[str]], tuple[str, ...]]  # storage options that lead a driver to these nodes
    devices: Callable[[Sequence[str]], Mapping[str, str]]  # the same as keys of the adapter's [devices]


@dataclass(frozen=True)
class Family:
    """One kind of driver. Another package brings one by an entry point of the group 'crashinit.families'."""

    name: str
    title: str  # of its drivers, in one line
    steps: tuple[str, ...]  # of an init, in their order
    steps_of: Callable[[Sequence[OperationRecord]], list[str]]  # the step of each operation of one trace
    step_words: Mapping[str, str]  # a pattern of words, any of which tells a reader that init was at this step
    guest: str  # the package that machines import: observe() and exercise(); see docs/families.md
    expectation: type[Expectation] = Expectation
    expected: Callable[[Asked], Expectation] = Expectation.stated
    own_clauses: tuple[Clause, ...] = ()  # in the order of their ids, beside the core's
    allowed: tuple[Allowance, ...] = ()  # differences that clauses allow, beside the core's mask
    idle_loops: Callable[[Case, Observation], list[str]] = (
        idle_loops  # loops over the root's files of no use, as sentences
    )
    stays: Callable[[Case], frozenset[str]] = lambda case: frozenset()  # names of dm devices that outlive a shutdown
    packages: tuple[str, ...] = ()  # Debian's, that its part of the probe needs
    modules: tuple[str, ...] = ()  # of the kernel
    own_disks: OwnDisks | None = field(default=None)

    def steps_during(self, during: str, operations: Sequence[OperationRecord]) -> list[str]:
        """The step of each operation of an init; what is no init is one step, and bears its own name."""
        return self.steps_of(operations) if during == INIT else [during] * len(operations)

    def words_of(self, step: str) -> str:
        """A pattern of words, any of which tells a reader that the driver was at this step."""
        return self.step_words.get(step, re.escape(step))

    @property
    def clauses(self) -> Mapping[str, Clause]:
        """All that its drivers are judged by, in the order of their ids."""
        return {clause.id: clause for clause in sorted((*CORE, *self.own_clauses), key=lambda clause: clause.id)}
