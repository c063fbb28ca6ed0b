"""Clauses on init as a whole: it succeeds, it does so once and for all, and it ends where it should."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from crashinit.contract.canonical import REPEATS, Allowance, Difference, canonical, differences, mask, masked
from crashinit.contract.case import Case
from crashinit.contract.expectation import Expectation
from crashinit.contract.said import ending, refused, succeeded
from crashinit.contract.verdict import NotApplicableError, NotSeenError, Verdict, listed
from crashinit.model.observation import Observation, OperationRecord

if TYPE_CHECKING:
    from crashinit.contract.family import Family

SHOWN = 4  # differences that a reason lists


def init_succeeds(case: Case) -> Verdict:
    """The first re-init, with the same command and options, ends with success within its deadline.

    While somebody else holds what it needs it may refuse instead, in time and with a message; then the first one after
    that counts.
    Source: execve(2) and wait(2) for the exit status; a process that must be killed has no success to report.
    """
    if not case.evidence.reinits:
        case.demand_a_further_init()
        raise NotSeenError("no re-init was run")
    first, *later = case.evidence.reinits
    actor = case.evidence.actor
    case.demand_completion()
    if actor and actor.release in ("during", "after") and refused(first):
        if not later:
            raise NotSeenError(f"no re-init was run after '{actor.name}' had gone")
        first = later[0]
    if not succeeded(first):
        return Verdict("fail", f"the first re-init {ending(first)}")
    if first.exit is not None and first.seconds > case.expectation.deadline:
        return Verdict("fail", f"the first re-init took {first.seconds:.1f} s of {case.expectation.deadline:g} s")
    return Verdict("pass")


def idempotent(case: Case) -> Verdict:
    """One more init changes nothing: ids, UUIDs, tables and files stay as they are, and no mkfs runs.

    Source: mkfs.ext4(8), mkfs.xfs(8): making a file system destroys the one that is there.
    """
    case.demand_success("no further init was run")
    again = case.evidence.again
    if again is None:
        raise NotSeenError("one more init was not run")
    if not succeeded(again):
        return Verdict("fail", f"one more init {ending(again)}")
    findings = [f"one more init ran '{operation.object}'" for operation in again.operations if runs_mkfs(operation)]
    changes = compared(case.expectation, case.family, case.after_again(), case.after(), "C11")
    if changes:
        findings.append(f"one more init changed the state: {listed(changes, SHOWN)}")
    return Verdict.of(findings)


def equivalent(case: Case) -> Verdict:
    """The canonical state after re-init equals that after an init without faults, but for the printed mask.

    Source: mask.toml, which gives the reason for each difference that is allowed.
    """
    after = case.after()
    actor = case.evidence.actor
    if actor and actor.got and actor.release == "never":
        raise NotApplicableError(f"somebody else ('{actor.name}') holds devices to the end")
    changes = compared(case.expectation, case.family, after, case.fault_free(), "C13")
    if changes:
        return Verdict("fail", f"the state is not that of an init without faults: {listed(changes, SHOWN)}")
    return Verdict("pass")


def runs_mkfs(operation: OperationRecord) -> bool:
    """Whether the operation starts a program that makes a file system."""
    return operation.kind == "exec" and PurePosixPath(operation.object).name.startswith(("mkfs", "mke2fs"))


def compared(
    expectation: Expectation, family: "Family", here: Observation, there: Observation, clause: str
) -> list[Difference]:
    """What two states do not share, without what the clause allows to differ."""
    form = min(here.format, there.format)
    own = [Allowance(("C13",), (pattern,), REPEATS, why) for pattern, why in expectation.allowed.items()]
    allowed = [*mask(), *family.allowed, *own]
    states = (masked(canonical(observation, expectation, form), clause, allowed) for observation in (here, there))
    return differences(*states)
