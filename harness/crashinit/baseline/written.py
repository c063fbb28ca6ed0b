"""A first baseline from the failures of runs, for a person to go through."""

from collections.abc import Iterable, Iterator, Sequence

from crashinit.baseline.known import failed_clauses, kind, place, seeds_of
from crashinit.model.events import TrialResult
from crashinit.report.kinds import how_often
from crashinit.report.results import RunRecord
from crashinit.report.title import name
from crashinit.report.words import many

HEADER = """\
# Failures that are known, for '--baseline FILE' of 'crashinit run', 'explore' and 'merge'.
# With it a run passes if just these kinds of failure come. A failure of another kind, or at another place, fails it,
# and so does a place that was tried to the end and does not fail in this way any more.
#
# Go through the entries, and say in each 'reason' why it fails, or who knows of it. 'clause' is the first clause that
# fails, and 'words' what is said of it, with 'N' for numbers. Below 'known.at' stand the places: the step and the
# operation, without numbers, and the clauses that may fail there as well; the failure of any other is new.
# 'scenarios' and 'guests' say where it was seen: only a run there can tell that it is mended.
# 'sometimes = true' says that the failure is a race: the trial may converge as well. It is filled in where each trial
# converged in some tries. Where machines heed a seed, 'seeds' stands in its place: those under which it was tried, of
# which it fails under some. What a run under other seeds shows, this entry does not say.
"""

Key = tuple[str, str, str, bool, frozenset[int], frozenset[str]]  # driver, clause, words, sometimes, seeds, guests


def written(runs: Sequence[RunRecord]) -> str:
    """A first baseline from the failures of these runs, by kind."""
    found: dict[Key, dict[str, list[TrialResult]]] = {}
    for (driver, clause, words, at), failures in sorted(_by_place(runs).items()):
        results = [result for result, _ in failures]
        guests = frozenset(guest for _, guest in failures if guest)
        key = (driver, clause, words, *_race(results), guests)
        found.setdefault(key, {})[at] = results
    entries = sorted(found.items(), key=lambda item: (*item[0][:4], sorted(item[0][4]), sorted(item[0][5])))
    return "\n".join([HEADER, *(_entry(key, places) for key, places in entries)])


def _by_place(runs: Iterable[RunRecord]) -> dict[tuple[str, str, str, str], list[tuple[TrialResult, str]]]:
    """The failures by driver, clause, words and place, each with its guest."""
    found: dict[tuple[str, str, str, str], list[tuple[TrialResult, str]]] = {}
    for run in runs:
        driver = name(run.driver)
        for result in run.results:
            if result.outcome in ("diverged", "not-fired"):
                key = (driver, *kind(result), place(result.step, result.operation))
                found.setdefault(key, []).append((result, run.guest))
    return found


def _race(results: Sequence[TrialResult]) -> tuple[bool, frozenset[int]]:
    """Whether no trial at a place fails each time, and if machines heed seeds, those under which they were tried."""
    if not all(any(one["outcome"] == "converged" for one in result.tries) for result in results):
        return False, frozenset()
    asked = frozenset[int]().union(*map(seeds_of, results))
    return not asked, asked


def _entry(key: Key, places: dict[str, list[TrialResult]]) -> str:
    driver, clause, words, sometimes, seeds, guests = key
    results = [result for alike in places.values() for result in alike]
    shown = min(results, key=lambda result: result.id)
    reason = f"not explained yet; seen in {many(len(results), 'trial')}, such as {shown.id}"
    lines = ["[[known]]", f"driver = {_quoted(driver)}", f"clause = {_quoted(clause)}", f"words = {_quoted(words)}"]
    lines += [f"reason = {_quoted(reason)}", f"scenarios = {_list(sorted({result.scenario for result in results}))}"]
    if guests:
        lines.append(f"guests = {_list(sorted(guests))}")
    if sometimes or seeds:
        lines.append(f"{f'seeds = {sorted(seeds)}' if seeds else 'sometimes = true'}  # {how_often(results)}")
    return "\n".join([*lines, "[known.at]", *_places(clause, places)]) + "\n"


def _places(clause: str, places: dict[str, list[TrialResult]]) -> Iterator[str]:
    for at, results in sorted(places.items()):
        also = sorted({one for result in results for one in failed_clauses(result)} - {clause})
        yield f"{_quoted(at)} = {_list(also)}"


def _list(words: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, words))}]"


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in escaped) + '"'
