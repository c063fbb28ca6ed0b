"""Clauses on what an init says of itself when it is disturbed."""

import errno
import os

from crashinit.contract.case import Case, ending, succeeded
from crashinit.contract.observation import OperationRecord, Run
from crashinit.contract.verdict import Settled, Verdict
from crashinit.trace import Step, steps_of

# Any one of these in a message tells a reader where init was when it failed.
STEP_WORDS: dict[Step, tuple[str, ...]] = {
    "loopback": ("loop", "data", "metadata", "director", "file", "root"),
    "pool-create": ("pool",),
    "base-create": ("base", "device", "thin", "transaction", "metadata"),
    "mkfs": ("mkfs", "mke2fs", "tune2fs", "filesystem", "file system", "format", "base"),
    "metadata-save": ("metadata", "transaction", "base", "device"),
}


def honest(case: Case) -> Verdict:
    """Under an injected error init succeeds with a state that passes, or fails with a message of step and cause.

    It never hangs and never dies of a signal; the state after a success is judged by the other clauses.
    Source: errno(3) and strerror(3) for the names of a cause.
    """
    evidence = case.evidence
    if evidence.fault != "errno":
        raise Settled.not_applicable("no error was injected")
    if evidence.fired is None:
        raise Settled.unseen("the error was never injected")
    run = evidence.fault_run
    if succeeded(run):
        return Verdict("pass")
    if run.timed_out or run.hung or run.exit is None or run.exit < 0:
        return Verdict("fail", f"with an error at '{evidence.fired.key}' init {ending(run)}")
    return Verdict.of(_unsaid(run, evidence.fired))


def _unsaid(run: Run, struck: OperationRecord) -> list[str]:
    """What the message of a failed init leaves open, as sentences."""
    said = f"{run.stderr}\n{run.stdout}".casefold()
    if not said.strip():
        return [f"init {ending(run)}, so nobody learns what failed"]
    findings: list[str] = []
    name = run.operations[struck.n - 1].detail.get("errno", "")
    cause = os.strerror(getattr(errno, name)) if hasattr(errno, name) else name
    if cause.casefold() not in said and name.casefold() not in said:
        findings.append(f"the cause ({name}, '{cause}') is not named: init {ending(run)}")
    step = steps_of(run.operations)[struck.n - 1]
    if not any(word in said for word in STEP_WORDS[step]):
        findings.append(f"the step ({step}) is not named: init {ending(run)}")
    return findings


def exclusive(case: Case) -> Verdict:
    """Of two inits at once on one root both end, at least one with success, and the state passes.

    The other one may wait or refuse, with a message.
    Source: flock(2), which a driver has for this.
    """
    evidence = case.evidence
    if evidence.fault != "concurrent":
        raise Settled.not_applicable("no two inits ran at once")
    runs = [*evidence.earlier, evidence.fault_run]
    if len(runs) < 2:
        raise Settled.unseen("the second init was not recorded")
    findings = [f"one of two inits at once {ending(run)}" for run in runs if _lost(run)]
    if not any(succeeded(run) for run in runs):
        findings.append(f"neither of two inits at once succeeded: one {ending(runs[0])}")
    return Verdict.of(findings)


def _lost(run: Run) -> bool:
    """Whether an init hung, died, or failed without a word."""
    silent = run.exit not in (0, None) and not (run.stderr.strip() or run.stdout.strip())
    return run.timed_out or silent or (run.exit is not None and run.exit < 0)
