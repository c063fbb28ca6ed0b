"""A run in plain words, as the README.md of a report that is published: for a stranger, who has only this page."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from crashinit import adapters
from crashinit.errors import UsageError
from crashinit.events import OUTCOMES, TrialResult
from crashinit.report.differential import came_up
from crashinit.report.results import RunRecord, duration, read, write_text

README = "README.md"
CONFIRMED = "cold"  # below the run's directory: its failures once more, each in a machine booted for it
SHOWN = 8  # boundaries that are listed of each kind of failure
REASON = 320  # characters of a reason
# What differs between two failures of one kind: numbers, hexadecimal words, times
VARIES = re.compile(r"\b0x[0-9a-f]+\b|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\d+")

Kinds = list[list[TrialResult]]


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
    wedged = [result for result in failed if result.clauses.get("C01") == "fail"]
    yield f"# {_title(run.driver)}: what its init makes of crashes"
    yield ""
    yield _in_short(done, failed, wedged)
    yield ""
    yield "## What was run"
    yield ""
    yield from _what_was_run(run, directory)
    yield from _clauses(run, done)
    yield "## Points that wedge the driver"
    yield ""
    if failed:
        yield (
            "Each command below runs one trial again. With `--shell` it opens a shell in the machine instead, with "
            "init held at that point. `docs/findings.md` has the causes of what is known."
        )
        yield ""
    yield from _wedges(run, wedged, directory)
    others = [result for result in failed if result not in wedged]
    if others:
        yield "## What else goes wrong, and where"
        yield ""
        for results in _kinds(others):
            yield from _kind(run, results, directory)
    if again is not None:
        yield from _confirmation(failed, again, directory)


def _title(driver: str) -> str:
    """What the adapter calls the driver; an adapter file may be gone by now."""
    try:
        return adapters.load(driver).title
    except UsageError:
        return driver


def _in_short(done: Sequence[TrialResult], failed: Sequence[TrialResult], wedged: Sequence[TrialResult]) -> str:
    struck = sum(result.outcome != "not-fired" for result in done)
    left = sum(result.outcome == "diverged" for result in failed) - len(wedged)
    never = sum(not came_up(result) for result in wedged)
    further = f", and {'' if never == len(wedged) else f'in {never} of these '}so did every further one"
    return (
        f"In short: init was disturbed in {_many(struck, 'trial')}. In {len(done) - len(failed)} of them the init that "
        f"followed put everything in order. In {left} it succeeded, but something in the state that it left breaks the "
        f"contract. In {len(wedged)} it failed{further if never else ''}."
    )


def _what_was_run(run: RunRecord, directory: Path) -> Iterator[str]:
    took = f", in {duration(run.seconds)}" if run.seconds else ""
    begun = f", begun {run.started[:16].replace('T', ' ')} UTC" if run.started else ""
    yield (
        f"{_many(len(run.results), 'trial')}, each in a machine of its own ({run.provider}, {run.accel}){begun}{took}. "
        "One fault strikes one init at one point; then the same init runs again, and its state is judged by "
        "`docs/contract.md`."
    )
    yield ""
    yield f"| scenario | trials | {' | '.join(OUTCOMES)} |"
    yield f"|---|---|{'---|' * len(OUTCOMES)}"
    for scenario in dict.fromkeys(result.scenario for result in run.results):
        counts = Counter(result.outcome for result in run.results if result.scenario == scenario)
        yield f"| {scenario} | {counts.total()} | {' | '.join(str(counts[outcome]) for outcome in OUTCOMES)} |"
    yield ""
    if run.not_run:
        yield f"{_many(len(run.not_run), 'planned trial')} did not run."
        yield ""
    for sentence in run.left_out:
        yield f"- left out: {sentence}"
    if run.left_out:
        yield ""
    yield "All of it again, in a checkout after `make setup`:"
    yield ""
    yield f"    crashinit replay {directory}/plan.json -n 2"
    yield ""


def _clauses(run: RunRecord, done: Sequence[TrialResult]) -> Iterator[str]:
    judged = Counter[str]()
    broken = Counter[str]()
    for result in done:
        judged.update(clause for clause, status in result.clauses.items() if status != "n/a")
        broken.update(clause for clause, status in result.clauses.items() if status == "fail")
    names = {clause: f"{clause} {run.clause_names.get(clause, '')}".rstrip() for clause in judged}
    yield "## What holds"
    yield ""
    for clause in sorted(judged):
        if not broken[clause]:
            yield f"- {names[clause]}: in all {judged[clause]} trials that it applies to"
    if all(broken[clause] for clause in judged):
        yield "No clause held in every trial."
    yield ""
    yield "## What does not"
    yield ""
    for clause in sorted(broken):
        yield f"- {names[clause]}: fails in {broken[clause]} of {judged[clause]} trials"
    if not broken:
        yield "Nothing: every clause that applies held in every trial."
    yield ""


def _wedges(run: RunRecord, wedged: Sequence[TrialResult], directory: Path) -> Iterator[str]:
    if not wedged:
        yield "None: after every fault the first init that followed succeeded."
        yield ""
        return
    yield "A wedge: the fault is over, and yet the next init fails. Worst first."
    yield ""
    for results in sorted(_kinds(wedged, _restarts), key=lambda kind: (came_up(kind[0]), -len(kind))):
        yield from _kind(run, results, directory, _restarts(results[0]))


def _restarts(result: TrialResult) -> str:
    """What became of the inits after the fault, as a heading."""
    if came_up(result):
        return f"Only init number {result.restarts} succeeds"
    return f"No init succeeds any more ({result.restarts} tried)"


def _kinds(results: Iterable[TrialResult], also: Callable[[TrialResult], str] = lambda _: "") -> Kinds:
    """Trials that went wrong in the same way, the most frequent way first."""
    kinds: dict[tuple[str, ...], list[TrialResult]] = {}
    for result in results:
        said = VARIES.sub("N", _first(result)[1])
        kinds.setdefault((result.outcome, _first(result)[0], said, also(result)), []).append(result)
    return sorted(kinds.values(), key=lambda kind: -len(kind))


def _first(result: TrialResult) -> tuple[str, str]:
    """The first clause that failed, and why; of a fault that did not strike, the outcome."""
    for clause, status in sorted(result.clauses.items()):
        if status == "fail":
            return clause, result.clause_reasons.get(clause, result.reason)
    return result.outcome, result.reason


def _kind(run: RunRecord, results: Sequence[TrialResult], directory: Path, heading: str = "") -> Iterator[str]:
    first, reason = _first(results[0])
    others = {clause for result in results for clause, s in result.clauses.items() if s == "fail"} - {first}
    named = f"{first} {run.clause_names.get(first, '')}".rstrip()
    yield f"### {heading or named}: {_many(len(results), 'trial')}"
    yield ""
    yield f"> {_short(reason)}"
    yield ""
    if others:
        yield f"With it fail {', '.join(sorted(others))}."
        yield ""
    places: dict[tuple[str, str], list[str]] = {}
    for result in results:
        places.setdefault((result.step, result.operation), []).append(_fault(result))
    for (step, operation), faults in list(places.items())[:SHOWN]:
        yield f"- {step}: `{operation}` ({', '.join(dict.fromkeys(faults))})"
    if len(places) > SHOWN:
        yield f"- and {len(places) - SHOWN} more boundaries, in results.jsonl"
    yield ""
    yield f"    crashinit replay {results[0].id} --run {directory}"
    yield ""


def _fault(result: TrialResult) -> str:
    """What was done, in a word or two: of a kill its victim, of an error its name."""
    if result.fault == "errno":
        return " ".join(result.id.rpartition("/")[2].rsplit("-", 1))
    return result.victim if result.fault == "kill" else result.fault


def _short(reason: str) -> str:
    """A reason on one line, of a length that a page bears."""
    line = re.sub(r"[<*]", r"\\\g<0>", " ".join(reason.split()))  # Markdown would take them for its own
    return line if len(line) <= REASON else f"{line[: REASON * 2 // 3]} ... {line[-REASON // 3 :]}"


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
