"""Events as a campaign emits them, for the tests of the reports."""

from dataclasses import replace
from pathlib import Path

from crashinit.model.events import Event, Outcome, RunFinished, RunStarted, TrialFinished, TrialResult, TrialStarted
from crashinit.report import Reports
from crashinit.report.again import replay

PLACES = [
    (step, phase, victim)
    for step in ("loopback", "pool-create", "base-create", "mkfs", "metadata-save")
    for phase in ("before", "during", "after")
    for victim in ("process", "tree")
]

CONVERGED = TrialResult(
    id="",
    driver="reference",
    scenario="",
    step="",
    phase="",
    fault="kill",
    victim="",
    boundary=3,
    operation="loop.set-fd data#1",
    outcome="converged",
    restarts=1,
    seconds={"fork": 0.1, "reinit": 1.4},
    clauses={"C01": "pass", "C03": "pass", "C12": "n/a"},
    clause_reasons={"C12": "there was no data before the fault"},
    reason="",
    replay="",
)


def results() -> list[TrialResult]:
    """One converged trial at each of the thirty places."""
    return [
        replace(
            CONVERGED,
            id=f"steps/{step}/{phase}/op/{victim}",
            scenario=f"steps/{step}",
            step=step,
            phase=phase,
            victim=victim,
            boundary=number,
            replay=f"crashinit replay steps/{step}/{phase}/op/{victim}",
        )
        for number, (step, phase, victim) in enumerate(PLACES, 1)
    ]


def mixed() -> list[TrialResult]:
    """The same places, but one trial diverged, one did not fire, one is the harness's own error."""
    trials = results()
    trials[0] = failing(trials[0], "diverged", "C03: <data> is attached twice & leaks", {"C01": "pass", "C03": "fail"})
    trials[7] = failing(trials[7], "not-fired", "the operation did not occur", {})
    trials[9] = failing(trials[9], "error", "the machine died: \x1b[31mpanic\x00", {})
    return trials


UNFIRED = "the fault never struck: the init ended after 62 operations"
UNSEEN = "C02 one-pool: the machine's answer was not kept"


def unjudged() -> list[TrialResult]:
    """A trial that did not fire and one that could not be judged, each with clauses that the driver did not break."""
    clauses = {"C01": "fail", "C02": "fail"}
    return [
        replace(failing(results()[0], "not-fired", UNFIRED, clauses), step="", operation="(the step does not occur)"),
        failing(results()[1], "error", UNSEEN, clauses),
    ]


def failing(result: TrialResult, outcome: Outcome, reason: str, clauses: dict[str, str]) -> TrialResult:
    reasons = {clause: reason for clause, status in clauses.items() if status == "fail"}
    return replace(result, outcome=outcome, reason=reason, clauses=clauses, clause_reasons=reasons)  # type: ignore[arg-type]


def stored(trials: list[TrialResult], out: Path) -> list[TrialResult]:
    """The same as the results of the run in that directory hold them: the command names the run."""
    return [replace(trial, replay=replay(trial, out)) for trial in trials]


def sequence(trials: list[TrialResult], left_out: list[str] | None = None) -> list[Event]:
    """All that a campaign of these trials emits, but for its end."""
    events: list[Event] = [RunStarted("reference", "qemu", "tcg", [trial.id for trial in trials], left_out or [])]
    for trial in trials:
        events += [TrialStarted(trial.id, 0), TrialFinished(trial)]
    return events


def report(out: Path | None, trials: list[TrialResult], **options: object) -> None:
    """Feed a whole run into the reports."""
    with Reports(out, **options) as emit:  # type: ignore[arg-type]
        for event in [*sequence(trials), RunFinished(83.2, False)]:
            emit(event)
