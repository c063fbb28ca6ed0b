"""Scenario + trace -> the boundaries that are struck, and the words of which ids are made; plans as files.

An id is made of the scenario, the phase, the operation's key and the victim, never of a running number, so that
it means the same point on every worker, every day, and after the driver has gained an operation elsewhere.
"""

import difflib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from crashinit.contract.family import Family
from crashinit.errors import UsageError
from crashinit.files.safe import parsed, text, write_text
from crashinit.model.fault import NONE, kind_of
from crashinit.model.observation import OperationRecord, Run
from crashinit.model.trial import Point, Setup, Trial
from crashinit.scenario.scenario import Scenario
from crashinit.text.printable import one_line

NOWHERE = "(the step does not occur)"  # the key of a point that the trace does not have


def setup_of(scenario: Scenario) -> Setup:
    """The recorded init that a scenario's trials begin from."""
    return Setup(
        scenario.given,
        scenario.options,
        scenario.deadline,
        reads=kind_of(scenario.fault).fails_a_call,
        during=scenario.during,
        surroundings=scenario.surroundings.words if scenario.surroundings else (),
        lasting=scenario.lasting,
        on_a_disk=kind_of(scenario.fault).on_a_disk,
    )


def points(scenario: Scenario, operations: Sequence[OperationRecord], family: Family) -> list[Point]:
    """The boundaries that a scenario strikes in this trace; a place that never occurs yields a point with n = 0."""
    steps = family.steps_during(scenario.during, operations)
    if scenario.fault == NONE.name:
        return [Point(step, "before", one.n, one.key) for step, one in zip(steps[:1], operations[:1], strict=True)]
    if scenario.at:
        known = {operation.key: (operation.n, step) for operation, step in zip(operations, steps, strict=True)}
        keys = _asked_for(scenario, operations)
        return [Point(known.get(key, (0, ""))[1], "before", known.get(key, (0, ""))[0], key) for key in keys]
    thinned = in_rows(operations) if scenario.representative else frozenset[int]()
    if scenario.step == "all":
        return [
            Point(step, "before" if steps.index(step) == index else "during", operation.n, operation.key)
            for index, (operation, step) in enumerate(zip(operations, steps, strict=True))
            if index not in thinned and step in (scenario.steps or steps)
        ]
    inside = [index for index, step in enumerate(steps) if step == scenario.step]
    step = scenario.step or ""
    if not inside:
        return [Point(step, phase, 0, NOWHERE) for phase in scenario.phases]
    found: list[Point] = []
    for phase in scenario.phases:
        if phase == "before":
            chosen = inside[:1]
        elif phase == "during":
            chosen = [index for index in inside[1:] if index not in thinned]
        else:
            # The last operation of all is the driver's exit: there is no later moment at which it could be struck.
            chosen = [min(inside[-1] + 1, len(operations) - 1)]
        found += [Point(step, phase, operations[index].n, operations[index].key) for index in chosen]
    return found


def _asked_for(scenario: Scenario, operations: Sequence[OperationRecord]) -> list[str]:
    """The keys that `at` names: as they are, or with escapes, as `crashinit trace` prints them."""
    printed = {one_line(operation.key): operation.key for operation in operations}
    return [printed.get(key, key) for key in scenario.at]


def in_rows(operations: Sequence[OperationRecord]) -> frozenset[int]:
    """Indices of what one program asks of one object time and again in a row: all but the first, middle and last.

    A mkfs writes many blocks, and between two of them nothing but the file system's content changes.
    """
    thinned: set[int] = set()
    for _, row in itertools.groupby(enumerate(operations), key=lambda pair: _asked(pair[1])):
        indices = [index for index, _ in row]
        thinned |= set(indices) - {indices[0], indices[len(indices) // 2], indices[-1]}
    return frozenset(thinned)


def _asked(operation: OperationRecord) -> tuple[str, str, int]:
    return operation.kind, operation.object, operation.pid


def left_out(scenario: Scenario, operations: Sequence[OperationRecord], family: Family) -> list[str]:
    """What a scenario does not strike although it lies inside its steps, as sentences."""
    steps = family.steps_during(scenario.during, operations)
    keys = [operation.key for operation in operations]
    said: list[str] = []
    for key in _asked_for(scenario, operations):
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            hint = f"the nearest that does is '{close[0]}'" if close else "'crashinit trace' lists those that do"
            said.append(f"{scenario.name}: '{key}' does not occur in this driver's init; {hint}")
    if scenario.representative and not scenario.at and "during" in scenario.phases:
        wanted = scenario.steps or steps if scenario.step == "all" else [scenario.step]
        count = sum(steps[index] in wanted for index in in_rows(operations))
        if count:
            said.append(
                f"{scenario.name}: {count} operations in rows of the same kind on the same object; the first, middle "
                "and last of each row are struck"
            )
    if scenario.step == "all" and scenario.steps:
        count = sum(step not in scenario.steps for step in steps)
        said.append(f"{scenario.name}: {count} boundaries in other steps than {', '.join(scenario.steps)}")
    return said


def unseen(scenario: Scenario, run: Run) -> list[str]:
    """What an init may have changed beside its operations, so that nothing strikes there, as sentences."""
    return [f"{scenario.name}: not seen by the gate: {what}" for what in run.unseen]


def spread(plan: Sequence[Trial], budget: int) -> list[Trial]:
    """As many trials as the budget allows, evenly spread over the plan; the same ones each time."""
    if budget >= len(plan):
        return list(plan)
    return [plan[index * len(plan) // budget] for index in range(budget)]


PLAIN = re.compile(r"[A-Za-z0-9.#*_+/ -]+")  # a key that has no need to be quoted, unless two of them look alike


def slugs(keys: Iterable[str]) -> dict[str, str]:
    """How each key of one trace appears in an id: without blanks and slashes, so that shells take it as it is.

    A key of other characters than the usual ones is quoted as in a URL, and so are keys that would look alike: no two
    keys have one slug.
    """
    known = dict.fromkeys(keys)
    alike = Counter(map(_short, known))
    return {key: _short(key) if _is_plain(key) and alike[_short(key)] == 1 else quoted(key) for key in known}


def _is_plain(key: str) -> bool:
    return key == NOWHERE or (PLAIN.fullmatch(key) is not None and _short(key) != "")


def _short(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9.#*_+-]+", "-", key).strip("-").replace("*", "x").replace("#", "-")


def quoted(word: str) -> str:
    """A text of letters, digits and `._-~%` that urllib.parse.unquote turns back (errors="surrogateescape")."""
    try:
        return quote(word, safe="", errors="surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which no file name can hold
        return quote(word, safe="", errors="surrogatepass")


def write(path: Path, plan: Iterable[Trial]) -> None:
    """Store a plan as JSON, one trial a line, in one step. Raises UsageError when two trials have one id."""
    trials = list(plan)
    refuse_doubles(trials)
    lines = ",\n".join(json.dumps(trial.as_json()) for trial in trials)
    write_text(path, f"[\n{lines}\n]\n")


def read(path: Path) -> list[Trial]:
    """Read a stored plan; raises UsageError when the file is not one, or two of its trials have one id."""
    try:
        entries = parsed(text(path))
        if not isinstance(entries, list):
            raise ValueError("it holds no list of trials")
        trials = [Trial.from_json(entry) for entry in entries]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"'{path}' does not exist: name a plan.json that a run has written.") from error
    except ValueError as error:
        raise UsageError(f"'{path}' is not a plan of this version: {str(error).splitlines()[0]}.") from error
    refuse_doubles(trials)
    return trials


def refuse_empty(path: Path, plan: Sequence[Trial]) -> None:
    """Raise UsageError when a stored plan has no trial to run, or to judge."""
    if not plan:
        raise UsageError(f"the plan '{path}' holds no trial: name that of another run, or run the scenarios again.")


def refuse_doubles(plan: Iterable[Trial]) -> None:
    """Raise UsageError when two trials have one id: the result of one would be taken for the other's."""
    for name, count in Counter(trial.id for trial in plan).items():
        if count > 1:
            raise UsageError(
                f"{count} trials of the plan have the id '{name}': a scenario may name each phase, victim, error and "
                "place only once."
            )
