"""The judge: evidence in, a verdict for each clause and the trial's outcome out."""

from collections.abc import Mapping
from dataclasses import replace

from crashinit.contract.case import Case
from crashinit.contract.clauses import Clause
from crashinit.contract.expectation import Expectation
from crashinit.contract.family import Family
from crashinit.contract.said import ending, succeeded
from crashinit.contract.verdict import EarlyVerdictError, Verdict
from crashinit.model.events import Outcome
from crashinit.model.observation import Evidence
from crashinit.text.printable import one_line


def judge(evidence: Evidence, reference: Evidence, expectation: Expectation, family: Family) -> dict[str, Verdict]:
    """The verdict of every clause of the driver's family, in the order of their ids.

    `reference` is the evidence of an init without faults under the same expectation.
    """
    case = Case(evidence, reference, expectation, family)
    return {clause.id: _judge_one(clause, case) for clause in family.clauses.values()}


def outcome(verdicts: Mapping[str, Verdict], evidence: Evidence, family: Family) -> tuple[Outcome, str]:
    """The trial's outcome and, unless it converged, the sentence that says why.

    Only a trial whose fault fired, and of which every clause passed or is n/a with a reason, has converged. A clause
    that failed only because the harness did not supply what it needs makes the trial an error, not the driver's fault.
    """
    if evidence.actor and not evidence.actor.got:
        return "not-fired", f"the actor '{evidence.actor.name}' got nothing of what it wanted"
    if evidence.fired is None:
        count = len(evidence.fault_run.operations)
        after = f"after {count} operation{'' if count == 1 else 's'}"
        return "not-fired", f"the fault never struck: {after} the init {ending(evidence.fault_run)}"
    return _by_clauses(verdicts, family)


def without_fault(evidence: Evidence, expectation: Expectation, family: Family) -> tuple[Outcome, str]:
    """Whether an init without a fault may be a reference, by every clause, held against itself; and why not.

    "diverged": the driver does not even converge without a fault. "error": the harness could not see what it needs.
    """
    return _by_clauses(judge(evidence, evidence, expectation, family), family)


def _by_clauses(verdicts: Mapping[str, Verdict], family: Family) -> tuple[Outcome, str]:
    clauses = family.clauses
    failed = {clause: verdict for clause, verdict in verdicts.items() if verdict.status == "fail"}
    genuine = [clause for clause, verdict in failed.items() if not verdict.unseen]
    if genuine:
        also = f" (also failed: {', '.join(genuine[1:])})" if genuine[1:] else ""
        return "diverged", f"{genuine[0]} {clauses[genuine[0]].name}: {failed[genuine[0]].reason}{also}"
    unjudged = [clause for clause in clauses if clause not in verdicts]
    if failed or unjudged:
        clause = next(iter(failed), "") or unjudged[0]
        reason = failed[clause].reason if clause in failed else "it was not judged"
        return "error", f"{clause} {clauses[clause].name}: {reason}"
    if all(verdict.status == "n/a" for verdict in verdicts.values()):
        return "error", "no clause could be judged, so nothing is known about the state"
    return "converged", ""


def restarts(evidence: Evidence) -> int:
    """How many inits were needed after the fault; all that were tried if none succeeded."""
    # An init that succeeded in spite of an injected error stands first among the re-inits, and was none.
    tried = [succeeded(run) for run in evidence.reinits if run != evidence.fault_run]
    return tried.index(True) + 1 if True in tried else len(tried)


def _judge_one(clause: Clause, case: Case) -> Verdict:
    if clause.id in case.expectation.not_applicable:
        return Verdict("n/a", case.expectation.not_applicable[clause.id])
    try:
        verdict = clause.judge(case)
    except EarlyVerdictError as early:
        verdict = early.verdict
    return replace(verdict, reason=one_line(verdict.reason))
