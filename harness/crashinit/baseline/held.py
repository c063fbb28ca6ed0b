"""A run held against all that was said of it before: the failures that are known, and what scenarios expect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crashinit.baseline.judgement import judge_directory
from crashinit.baseline.known import Known
from crashinit.model.events import TrialResult
from crashinit.report.results import RunRecord
from crashinit.scenario.expected import Failure, of_run


@dataclass(frozen=True)
class Held:
    """What came of it."""

    sentences: list[str]  # for people
    wrong: bool  # what was said does not hold: the run fails, whatever its results are
    judged: Sequence[TrialResult]  # those of which nothing was said


def held(
    directory: Path,
    run: RunRecord,
    known: Sequence[Known] | None = None,
    expectations: Mapping[str, Failure | str] | None = None,
) -> Held:
    """Hold a run against its baseline, and against what is expected of this driver by scenario."""
    sentences: list[str] = []
    judged: Sequence[TrialResult] = run.results
    if known is not None:
        judgement = judge_directory(directory, run, known)
        sentences += judgement.sentences()
        if judgement.rotten:
            return Held(sentences, True, judged)
        judged = judgement.new
    if expectations and (run.narrowed or run.shard):  # a scenario of which no trial was chosen shows nothing
        tried = {result.scenario for result in run.results}
        expectations = {name: expected for name, expected in expectations.items() if name in tried}
    if not expectations or run.not_run:
        return Held(sentences, False, judged)
    unmet, judged = of_run(expectations, run.results, judged)
    if unmet:
        return Held([*sentences, *(f"not as expected: {sentence}" for sentence in unmet)], True, judged)
    count = f"{len(expectations)} {'scenario' if len(expectations) == 1 else 'scenarios'}"
    return Held([*sentences, f"as expected: {count}"], False, judged)
