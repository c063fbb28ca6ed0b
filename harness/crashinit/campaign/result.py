"""Trial + evidence -> the trial's result, by the contract; pure, so that a stored run can be judged again."""

import shlex

from crashinit.adapters import Adapter
from crashinit.contract.judge import judge, outcome, restarts
from crashinit.contract.said import succeeded
from crashinit.model.events import ClauseStatus, Outcome, TrialResult
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.text.printable import printable

REASON_LIMIT = 1000  # characters of the harness's own error; it may quote a machine's output


def result_of(
    trial: Trial, evidence: Evidence, seconds: dict[str, float], reference: Evidence, adapter: Adapter
) -> TrialResult:
    """Judge a trial's evidence by the contract."""
    verdicts = judge(evidence, reference, adapter.expectation(trial.setup.options, trial.setup.deadline), adapter.kind)
    verdict, reason = outcome(verdicts, evidence, adapter.kind)
    return _result(
        trial,
        verdict,
        reason,
        restarts=restarts(evidence),
        recovered=any(succeeded(run) for run in evidence.reinits),
        seconds={part: round(value, 3) for part, value in seconds.items()},
        clauses={clause: v.status for clause, v in verdicts.items()},
        clause_reasons={clause: v.reason for clause, v in verdicts.items() if v.reason},
        time=evidence.time,
        same_as=evidence.same_as,
        same_state_as=evidence.same_state_as,
    )


def failed(trial: Trial, reason: str) -> TrialResult:
    """The result of a trial that the harness itself could not finish."""
    return _result(trial, "error", printable(reason, REASON_LIMIT))


def _result(
    trial: Trial,
    verdict: Outcome,
    reason: str,
    time: str = "",
    restarts: int = 0,
    recovered: bool | None = None,
    seconds: dict[str, float] | None = None,
    clauses: dict[str, ClauseStatus] | None = None,
    clause_reasons: dict[str, str] | None = None,
    same_as: str = "",
    same_state_as: str = "",
) -> TrialResult:
    return TrialResult(
        id=trial.id,
        driver=trial.driver,
        guest=trial.guest,
        scenario=trial.scenario,
        step=trial.point.step,
        phase=trial.point.phase,
        fault=trial.fault,
        victim=trial.victim,
        boundary=trial.point.n,
        operation=trial.point.operation,
        outcome=verdict,
        restarts=restarts,
        recovered=recovered,
        seconds=seconds or {},
        clauses=clauses or {},
        clause_reasons=clause_reasons or {},
        reason=reason,
        time=time,
        replay=f"crashinit replay {shlex.quote(trial.id)}",
        same_as=same_as,
        seed=trial.seed,
        same_state_as=same_state_as,
    )
