"""A run in plain words, as the README.md of a report that is published: for a stranger, who has only this page."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from crashinit.errors import UsageError
from crashinit.files.safe import write_text
from crashinit.machine.seed import options
from crashinit.model.events import OUTCOMES, TrialResult
from crashinit.model.fault import kind_of
from crashinit.report.again import COLD, replay
from crashinit.report.counts import NO_STEP, judged
from crashinit.report.gaps import Gaps
from crashinit.report.kinds import came_up, first, how_often, in_words, is_wedge, kinds, short
from crashinit.report.markdown import block, code, text
from crashinit.report.results import RunRecord, read
from crashinit.report.title import title
from crashinit.report.words import duration, many, system, with_time
from crashinit.run.kept import PLAN
from crashinit.scenario.plan import read as read_plan

README = "README.md"
CONFIRMED = "cold"  # below the run's directory: its failures once more, each in a machine booted for it
SHOWN = 8  # boundaries that are listed of each kind of failure
NAMED = 20  # ids that are listed of each kind of trial without a verdict


def write(directory: Path) -> Path:
    """Write the README.md of a run. Raises UsageError when the directory holds no run."""
    run = read(directory)
    again = read(directory / CONFIRMED) if (directory / CONFIRMED).is_dir() else None
    path = directory / README
    write_text(path, "\n".join(_lines(run, again, directory)) + "\n")
    return path


def _lines(run: RunRecord, again: RunRecord | None, directory: Path) -> Iterator[str]:
    gaps = Gaps(run)
    done = judged(run.results)
    failed = [result for result in done if result.outcome == "diverged"]
    wedged = [result for result in failed if is_wedge(result)]
    yield f"# {text(title(run.driver))}: what its init makes of crashes"
    yield ""
    yield _in_short(done, failed, wedged, gaps)
    yield ""
    yield "## What was run"
    yield ""
    yield from _what_was_run(run, gaps, directory)
    yield from _clauses(run, done, gaps)
    yield "## Points that wedge the driver"
    yield ""
    if failed:
        yield (
            "Each command below runs one trial again. With `--shell` it opens a shell in the machine instead, with "
            "init held at that point. `docs/findings.md` has the causes of what is known."
        )
        yield ""
    yield from _wedges(run, done, wedged, gaps, directory)
    others = [result for result in failed if result not in wedged]
    if others:
        yield "## What else goes wrong, and where"
        yield ""
        for results in kinds(others):
            yield from _kind(run, results, directory)
    yield from _no_verdict(
        "Did not fire",
        "The fault of these trials never struck, so that they say nothing of the driver",
        gaps.unfired,
        directory,
    )
    yield from _no_verdict(
        "What the harness could not judge", "These trials say nothing of the driver", gaps.errors, directory
    )
    if again is not None:
        yield from _confirmation(run.results, again, directory)


def _in_short(
    done: Sequence[TrialResult], failed: Sequence[TrialResult], wedged: Sequence[TrialResult], gaps: Gaps
) -> str:
    if not done:
        return " ".join(["In short: nothing is known of the driver, since no trial was judged.", *gaps.sentences()])
    never = sum(not came_up(result) for result in wedged)
    further = f", and {'' if never == len(wedged) else f'in {never} of these '}so did every further one"
    said = (
        f"In short: init was disturbed in {many(len(done), 'trial')}. In {len(done) - len(failed)} of them the init "
        f"that followed put everything in order. In {len(failed) - len(wedged)} it succeeded, but something in the "
        f"state that it left breaks the contract. In {len(wedged)} it failed{further if never else ''}."
    )
    return " ".join([said, *gaps.sentences()])


def _what_was_run(run: RunRecord, gaps: Gaps, directory: Path) -> Iterator[str]:
    machines = [run.provider, with_time(run.accel, run.time), system(run.guest, run.kernel)]
    where = text(", ".join(filter(None, machines)))
    took = f", in {duration(run.seconds)}" if run.seconds else ""
    begun = f", begun {run.started[:16].replace('T', ' ')} UTC" if run.started else ""
    yield (
        f"{many(len(run.results), 'trial')}, each in a machine of its own ({where}){text(begun)}{took}. "
        "One fault strikes one init at one point; then the same init runs again, and its state is judged by "
        "`docs/contract.md`."
    )
    yield ""
    if run.results:
        yield f"| scenario | trials | {' | '.join(OUTCOMES)} |"
        yield f"|---|---|{'---|' * len(OUTCOMES)}"
    for scenario in dict.fromkeys(result.scenario for result in run.results):
        counts = Counter(result.outcome for result in run.results if result.scenario == scenario)
        yield f"| {text(scenario)} | {counts.total()} | {' | '.join(str(counts[outcome]) for outcome in OUTCOMES)} |"
    if run.results:
        yield ""
    if missing := gaps.missing():
        yield missing
        yield ""
    for sentence in run.left_out:
        yield f"- left out: {text(sentence)}"
    if run.left_out:
        yield ""
    yield from _all_again(run, directory)


def _all_again(run: RunRecord, directory: Path) -> Iterator[str]:
    """The command that does the run's trials again; where it does more than these, that is said."""
    path = directory / PLAN
    chosen = f" -k {shlex.quote(run.select)}" if run.select else ""
    machines = f" {options(run.provider)}".rstrip()
    yield "All of it again, in a checkout after `make setup`:"
    yield ""
    yield block(f"crashinit replay {_quoted(path)} -n 2{chosen}{machines}")
    yield ""
    with suppress(UsageError, OSError):  # a run that is published without its plan
        plan = len(read_plan(path))
        if not chosen and plan > len(run.planned):
            yield (
                f"The command runs all {many(plan, 'trial')} of the plan. This run was asked for {len(run.planned)} of "
                "them: `-k` chooses among them."
            )
            yield ""


def _clauses(run: RunRecord, done: Sequence[TrialResult], gaps: Gaps) -> Iterator[str]:
    applied = Counter[str]()
    broken = Counter[str]()
    for result in done:
        applied.update(clause for clause, status in result.clauses.items() if status != "n/a")
        broken.update(clause for clause, status in result.clauses.items() if status == "fail")
    names = {clause: text(f"{clause} {run.clause_names.get(clause, '')}".rstrip()) for clause in applied}
    yield "## What holds"
    yield ""
    for clause in sorted(applied):
        if not broken[clause]:
            count = applied[clause]
            yield f"- {names[clause]}: in {'the' if count == 1 else 'all'} {many(count, 'trial')} that it applies to"
    if not applied:
        yield "Not known: no clause was judged."
    elif all(broken[clause] for clause in applied):
        yield "No clause held in every trial."
    yield ""
    yield "## What does not"
    yield ""
    for clause in sorted(broken):
        yield f"- {names[clause]}: fails in {broken[clause]} of {many(applied[clause], 'trial')}"
    if not applied:
        yield "Not known: no clause was judged."
    elif not broken and gaps:
        yield f"Nothing in the {many(len(done), 'trial')} that {'was' if len(done) == 1 else 'were'} judged."
    elif not broken:
        yield "Nothing: every clause that applies held in every trial."
    yield ""


def _wedges(
    run: RunRecord, done: Sequence[TrialResult], wedged: Sequence[TrialResult], gaps: Gaps, directory: Path
) -> Iterator[str]:
    if wedged:
        yield "A wedge: the fault is over, and yet the next init fails. Worst first."
    elif not done:
        yield "Not known: no trial was judged."
    elif gaps:
        were = "that was judged" if len(done) == 1 else "that were judged"
        yield f"None in the {many(len(done), 'trial')} {were}: after each fault the first init that followed succeeded."
    else:
        yield "None: after every fault the first init that followed succeeded."
    yield ""
    for results in kinds(wedged):
        yield from _kind(run, results, directory, in_words(results[0]))


def _kind(run: RunRecord, results: Sequence[TrialResult], directory: Path, heading: str = "") -> Iterator[str]:
    clause, reason = first(results[0])
    others = {clause for result in results for clause, s in result.clauses.items() if s == "fail"} - {clause}
    named = text(f"{clause} {run.clause_names.get(clause, '')}".rstrip())
    yield f"### {heading or named}: {many(len(results), 'trial')}"
    yield ""
    yield f"> {text(short(reason))}"
    yield ""
    if others:
        yield f"With it {'fails' if len(others) == 1 else 'fail'} {text(', '.join(sorted(others)))}."
        yield ""
    if often := how_often(results):
        yield f"Tried again: {often}."
        yield ""
    places: dict[tuple[str, str], list[str]] = {}
    for result in results:
        places.setdefault((result.step, result.operation), []).append(_fault(result))
    for (step, operation), faults in list(places.items())[:SHOWN]:
        yield f"- {text(step or NO_STEP)}: {code(operation)} ({text(', '.join(dict.fromkeys(faults)))})"
    if len(places) > SHOWN:
        yield f"- and {many(len(places) - SHOWN, 'more boundary', 'more boundaries')}, in results.jsonl"
    yield ""
    yield block(replay(results[0], directory))
    yield ""


def _no_verdict(heading: str, meaning: str, results: Sequence[TrialResult], directory: Path) -> Iterator[str]:
    """Trials that tell nothing of the driver, by the reason."""
    if not results:
        return
    yield f"## {heading}"
    yield ""
    yield f"{meaning}: {many(len(results), 'trial')}."
    yield ""
    for alike in kinds(results):
        yield f"> {text(short(alike[0].reason))}"
        yield ""
        for result in alike[:NAMED]:
            yield f"- {code(result.id)}"
        if len(alike) > NAMED:
            yield f"- and {many(len(alike) - NAMED, 'more trial')}, in results.jsonl"
        yield ""
        yield block(replay(alike[0], directory))
        yield ""


def _fault(result: TrialResult) -> str:
    """What was done, in a word or two: of a kill its victim, of an error its name."""
    kind = kind_of(result.fault)
    if kind.fails_a_call:
        return " ".join(result.id.rpartition("/")[2].rsplit("-", 1))
    return result.victim if kind.kills else result.fault


def _confirmation(results: Sequence[TrialResult], again: RunRecord, directory: Path) -> Iterator[str]:
    same = {result.id: result for result in again.results}
    wrong = [result for result in results if result.outcome != "converged"]
    tried = [result for result in wrong if result.id in same]
    agree = [result for result in tried if same[result.id].outcome == result.outcome]
    yield "## The same from a cold boot"
    yield ""
    yield (
        f"{len(tried)} of the {many(len(wrong), 'trial')} that did not converge "
        f"{'was' if len(tried) == 1 else 'were'} tried again in machines that were booted for them, without clone or "
        f"fork; {len(agree)} of them ended as before."
    )
    for result in tried:
        if result not in agree:
            yield f"- {text(result.id)}: {result.outcome}, from a cold boot {same[result.id].outcome}"
    yield ""
    if len(tried) == len(wrong):
        yield block(f"crashinit replay {_quoted(directory / 'plan.json')} --failed {COLD}")
    elif tried:
        yield block(replay(tried[0], directory, COLD))


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
