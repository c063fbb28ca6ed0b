"""Trials that went wrong in the same way: the same first clause, and the same sentence but for numbers in it."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from crashinit.model.events import TrialResult
from crashinit.report.counts import WORST_FIRST
from crashinit.report.words import listed

REASON = 320  # characters of a reason
# What differs between two failures of one kind: numbers, hexadecimal words, times
VARIES = re.compile(r"\b0x[0-9a-f]+\b|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\d+")

LEAKS = frozenset({"C03", "C04", "C13"})  # what a device that nobody needs fails, and nothing else

AFTER_SUCCESS = ("C08", "C10", "C11")  # clauses on what comes after an init that succeeded

Kind = tuple[str, str, str, str]


def kinds(results: Iterable[TrialResult]) -> list[list[TrialResult]]:
    """The trials in groups, the driver's wedges first, and of each sort the most frequent kind."""
    found: dict[Kind, list[TrialResult]] = {}
    for result in results:
        found.setdefault(kind_of(result), []).append(result)
    return sorted(found.values(), key=_place)


def kind_of(result: TrialResult) -> Kind:
    """What the trials of one kind have in common."""
    clause, reason = first(result)
    return result.outcome, clause, steady(reason), in_words(result) if is_wedge(result) else ""


def steady(reason: str) -> str:
    """A reason without what differs between two failures of one kind; what it says several times stands once."""
    return "; ".join(dict.fromkeys(VARIES.sub("N", reason).split("; ")))


def first(result: TrialResult) -> tuple[str, str]:
    """The first clause that failed, and why; of a trial that says nothing of the driver, its outcome."""
    if result.outcome == "diverged":
        for clause, status in sorted(result.clauses.items()):
            if status == "fail":
                return clause, result.clause_reasons.get(clause, result.reason)
    return result.outcome, result.reason


def is_wedge(result: TrialResult) -> bool:
    """Whether the fault was over, and yet the next init failed."""
    return result.outcome == "diverged" and result.clauses.get("C01") == "fail"


Severity = Literal["never", "later", "broken", "leaks"]
SEVERITIES: Mapping[Severity, str] = {
    "never": "it never comes up again",
    "later": "it comes up only at a later try",
    "broken": "it works with a broken state",
    "leaks": "it works, and leaves something over",
}  # the worst first


def severity(result: TrialResult) -> Severity:
    """How bad a failure of the driver is."""
    if is_wedge(result):
        return "later" if came_up(result) else "never"
    failed = {clause for clause, status in result.clauses.items() if status == "fail"}
    return "leaks" if "C04" in failed and failed <= LEAKS else "broken"


def sort(result: TrialResult) -> str:
    """How a trial went wrong, in a few words."""
    return SEVERITIES[severity(result)] if result.outcome == "diverged" else result.outcome


def came_up(result: TrialResult) -> bool:
    """Whether some init succeeded after the fault."""
    if result.recovered is not None:
        return result.recovered
    # A result of an earlier version does not say. These clauses are judged only then, but an adapter may exempt them.
    told = {result.clauses[clause] for clause in AFTER_SUCCESS if clause in result.clauses}
    return result.clauses.get("C01") != "fail" or told != {"n/a"}


def in_words(result: TrialResult) -> str:
    """What became of the inits after the fault, as a heading."""
    if came_up(result):
        return f"Only init number {result.restarts} succeeds"
    return f"No init succeeds any more ({result.restarts} tried)"


def how_often(results: Iterable[TrialResult]) -> str:
    """In how many of all their tries these trials ended so, and whether that is a race; "" if each was tried once.

    A trial that was tried under several seeds does the same each time that it has one of them: they are named.
    """
    tried = [result for result in results if result.tries and not (result.same_as or result.same_state_as)]
    if not tried:
        return ""
    if len(tried) == 1 and "seed" in tried[0].tries[0]:
        return _by_seeds(tried[0])
    seeds = {one["seed"] for result in tried for one in result.tries if "seed" in one}
    outcomes = [(one["outcome"], result.outcome) for result in tried for one in result.tries]
    tries = sum(outcome in ("converged", "diverged") for outcome, _ in outcomes)
    times = sum(outcome == shown for outcome, shown in outcomes)
    races = sum(result.race for result in tried)
    said = f"seen {times} of {tries}" + (f" under seeds {listed(seeds)}" if seeds else "")
    if not races:
        return said
    return f"{said}: a race" if len(tried) == 1 else f"{said}: a race in {races} of {len(tried)}"


VERBS = {"converged": "converges", "diverged": "fails", "not-fired": "does not fire", "error": "is not judged"}


def _by_seeds(result: TrialResult) -> str:
    """How one trial ended under which seeds: 'fails under 2 of 3 seeds (1, 2), not under 3'."""
    judged = [one for one in result.tries if one["outcome"] in ("converged", "diverged")]
    so = [one["seed"] for one in judged if one["outcome"] == result.outcome]
    others = [one["seed"] for one in judged if one["outcome"] != result.outcome]
    said = f"{VERBS[result.outcome]} under {len(so)} of {len(judged)} seeds ({listed(so)})"
    if others:
        return f"{said}, not under {listed(others)}"
    return f"{said}, not always in the same way" if result.race else said


def short(reason: str) -> str:
    """A reason on one line, of a length that a page bears."""
    line = " ".join(reason.split())
    return line if len(line) <= REASON else f"{line[: REASON * 2 // 3]} ... {line[-REASON // 3 :]}"


def _place(kind: list[TrialResult]) -> tuple[int, int, int]:
    result = kind[0]
    how_bad = [*SEVERITIES].index(severity(result)) if result.outcome == "diverged" else 0
    return WORST_FIRST.index(result.outcome), how_bad, -len(kind)
