"""A run in plain words, as the README.md of a report that is published."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from crashinit.events import TrialResult
from crashinit.report.results import RunRecord, duration, read, write_text

README = "README.md"
CONFIRMED = "cold"  # below the run's directory: its failures once more, each in a machine booted for it
SHOWN = 6  # trials that are listed of each kind of failure


def write(directory: Path) -> Path:
    """Write the README.md of a run. Raises UsageError when the directory holds no run."""
    run = read(directory)
    again = read(directory / CONFIRMED) if (directory / CONFIRMED).is_dir() else None
    path = directory / README
    write_text(path, "\n".join(_lines(run, again, directory)) + "\n")
    return path


def _lines(run: RunRecord, again: RunRecord | None, directory: Path) -> Iterator[str]:
    done = [result for result in run.results if result.outcome != "error"]
    failed = [result for result in done if result.outcome != "converged"]
    scenarios = sorted({result.scenario for result in run.results})
    yield f"# {run.driver}: what its init makes of crashes"
    yield ""
    yield "## What was run"
    yield ""
    took = f" in {duration(run.seconds)}" if run.seconds else ""
    yield (
        f"{len(run.results)} trials on {run.provider} ({run.accel}){took}, begun {run.started}: "
        f"{', '.join(scenarios)}. "
        f"{_many(len(done) - len(failed), 'trial')} converged, {len(failed)} did not, "
        f"{len(run.results) - len(done)} could not be judged."
    )
    for sentence in run.left_out:
        yield f"Left out: {sentence}."
    yield ""
    yield from _clauses(run, done)
    yield "## Points that wedge the driver"
    yield ""
    yield from _wedges(done)
    if failed:
        yield "## What goes wrong, and where"
        yield ""
        yield from _failures(failed, directory)
    if again is not None:
        yield from _confirmation(failed, again, directory)


def _clauses(run: RunRecord, done: Sequence[TrialResult]) -> Iterator[str]:
    broken: dict[str, int] = {}
    judged: dict[str, int] = {}
    for result in done:
        for clause, status in result.clauses.items():
            judged[clause] = judged.get(clause, 0) + (status != "n/a")
            broken[clause] = broken.get(clause, 0) + (status == "fail")
    yield "## What holds"
    yield ""
    for clause in sorted(judged):
        if judged[clause] and not broken[clause]:
            yield f"- {clause} {run.clause_names.get(clause, '')}: in all {judged[clause]} trials that it applies to"
    yield ""
    yield "## What does not"
    yield ""
    for clause in sorted(judged):
        if broken[clause]:
            yield f"- {clause} {run.clause_names.get(clause, '')}: fails in {broken[clause]} of {judged[clause]} trials"
    if not any(broken.values()):
        yield "Nothing: every clause that applies held in every trial."
    yield ""


def _wedges(done: Sequence[TrialResult]) -> Iterator[str]:
    wedged = [result for result in done if result.clauses.get("C01") == "fail"]
    for result in wedged:
        never = result.clauses.get("C08") == "n/a"  # only a driver that came up at last is tried further
        how = f"not within {_many(result.restarts, 'restart')}" if never else f"after {result.restarts} restarts"
        yield f"- `{result.operation}` ({result.step}, {result.victim}): init succeeds {how}."
    if not wedged:
        yield "None: after every crash the first init that followed succeeded."
    yield ""


def _failures(failed: Sequence[TrialResult], directory: Path) -> Iterator[str]:
    kinds: dict[tuple[str, ...], list[TrialResult]] = {}
    for result in failed:
        clauses = tuple(sorted(clause for clause, status in result.clauses.items() if status == "fail"))
        kinds.setdefault(clauses or (result.outcome,), []).append(result)
    for clauses, results in sorted(kinds.items(), key=lambda item: -len(item[1])):
        yield f"### {', '.join(clauses)}: {_many(len(results), 'trial')}"
        yield ""
        yield f"For example: {results[0].reason}."
        yield ""
        for result in results[:SHOWN]:
            yield f"    crashinit replay {result.id} --run {directory}"
        if len(results) > SHOWN:
            yield f"    (and {len(results) - SHOWN} more, in results.jsonl)"
        yield ""


def _confirmation(failed: Sequence[TrialResult], again: RunRecord, directory: Path) -> Iterator[str]:
    same = {result.id: result for result in again.results}
    tried = [result for result in failed if result.id in same]
    agree = [result for result in tried if same[result.id].outcome == result.outcome]
    yield "## The same from a cold boot"
    yield ""
    yield (
        f"{len(tried)} of the {len(failed)} failures were tried again in machines that were booted for them, without "
        f"clone or fork; {len(agree)} of them ended as before."
    )
    for result in tried:
        if result not in agree:
            yield f"- {result.id}: {result.outcome}, from a cold boot {same[result.id].outcome}"
    yield ""
    yield f"    crashinit replay {directory}/plan.json --failed --provider qemu-cold --out {directory}/{CONFIRMED}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
