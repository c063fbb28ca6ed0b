"""Runs to hold against baselines: six trials at each of three places, of which some fail."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from crashinit.baseline.known import Known
from crashinit.model.events import TrialResult
from crashinit.model.trial import Point, Setup, Trial
from crashinit.report.results import RunRecord

from ..report.events import failing, results

PUBLISHED = sorted((Path(__file__).parents[2] / "reports").glob("*-*.*/"))
SAID = "temporary file 'metadata/.tmp7' is left"
AT = "loopback: loop.set-fd data"
KNOWN = Known(clause="C03", words="temporary file 'metadata/.tmpN' is left", reason="moby 1", at={AT: []})  # type: ignore[dict-item]
TRIALS = results()[:18]  # of the steps loopback, pool-create, base-create
WEDGED = failing(TRIALS[0], "diverged", SAID, {"C03": "fail"})


def run(trials: list[TrialResult], **facts: Any) -> RunRecord:
    """A whole run with these results."""
    fields: dict[str, Any] = {
        "driver": "reference", "provider": "qemu", "accel": "tcg", "started": "", "left_out": [], "mask": [],
        "clause_names": {}, "seconds": 1.0, "interrupted": False, "narrowed": False,
        "planned": [trial.id for trial in trials], "results": trials,
    }  # fmt: skip
    return RunRecord(**{**fields, **facts})


def plan_of(trials: list[TrialResult]) -> list[Trial]:
    """The plan of these results' run."""
    return [
        Trial(
            result.id, result.driver, result.scenario, Setup("fresh", (), 60.0),
            Point(result.step, result.phase, result.boundary, result.operation), result.fault, result.victim, 3,
        )
        for result in trials
    ]  # fmt: skip


def shifted(trials: list[TrialResult]) -> list[TrialResult]:
    """The same run of a driver that has gained an operation before all others: every number is another."""

    def later(text: str, before: str) -> str:
        return re.sub(rf"(?<={before})\d+(?=/|$)", lambda number: str(int(number[0]) + 1), text)

    return [
        replace(
            result,
            id=later(result.id, "-"),
            boundary=result.boundary + 1,
            operation=later(result.operation, "#"),
        )
        for result in trials
    ]
