"""Scenario + trace -> trials with stable ids.

An id is made of the scenario, the phase, the operation's key and the victim, never of a running number, so that
it means the same point on every worker, every day, and after the driver has gained an operation elsewhere.
"""

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crashinit.contract.observation import OperationRecord
from crashinit.errors import UsageError
from crashinit.scenario import Scenario
from crashinit.trace import steps_of


@dataclass(frozen=True)
class Point:
    """One boundary of a trace: the moment just before this operation."""

    step: str
    phase: str
    n: int  # ordinal of the operation in the trace, 0: it does not occur there
    operation: str  # its key


@dataclass(frozen=True)
class Setup:
    """What must be the same for two trials to begin from one recorded init."""

    given: str
    options: tuple[str, ...]
    deadline: float  # seconds


@dataclass(frozen=True)
class Trial:
    """One fault at one boundary on one fresh machine, then re-init, then the check. Self-contained and picklable."""

    id: str
    driver: str
    scenario: str
    setup: Setup
    point: Point
    fault: str
    victim: str
    restarts: int

    def as_json(self) -> dict[str, Any]:
        """The trial as a plan file holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Trial":
        """The inverse of as_json."""
        setup = data["setup"]
        return cls(
            **{
                **data,
                "setup": Setup(setup["given"], tuple(setup["options"]), setup["deadline"]),
                "point": Point(**data["point"]),
            }
        )


def setup_of(scenario: Scenario) -> Setup:
    """The recorded init that a scenario's trials begin from."""
    return Setup(scenario.given, scenario.options, scenario.deadline)


def points(scenario: Scenario, operations: Sequence[OperationRecord]) -> list[Point]:
    """The boundaries that a scenario strikes in this trace; a place that never occurs yields a point with n = 0."""
    steps = steps_of(operations)
    if scenario.at:
        known = {operation.key: (operation.n, step) for operation, step in zip(operations, steps, strict=True)}
        return [Point(known.get(key, (0, ""))[1], "before", known.get(key, (0, ""))[0], key) for key in scenario.at]
    inside = [index for index, step in enumerate(steps) if step == scenario.step]
    step = scenario.step or ""
    if not inside:
        return [Point(step, phase, 0, "(the step does not occur)") for phase in scenario.phases]
    found: list[Point] = []
    for phase in scenario.phases:
        if phase == "before":
            chosen = inside[:1]
        elif phase == "during":
            chosen = [index for index in inside[1:] if index not in monotonous(operations)]
        else:
            # The last operation of all is the driver's exit: there is no later moment at which it could be struck.
            chosen = [min(inside[-1] + 1, len(operations) - 1)]
        found += [Point(step, phase, operations[index].n, operations[index].key) for index in chosen]
    return found


def monotonous(operations: Sequence[OperationRecord]) -> set[int]:
    """Indices of the data blocks that one program writes one after the other: all but the first, middle and last.

    A mkfs writes hundreds of them, and between two of them nothing but the file system's content changes.
    """
    thinned: set[int] = set()
    for repeated, run in itertools.groupby(enumerate(operations), key=lambda pair: _data(pair[1])):
        indices = [index for index, _ in run]
        if repeated:
            thinned |= set(indices) - {indices[0], indices[len(indices) // 2], indices[-1]}
    return thinned


def _data(operation: OperationRecord) -> tuple[str, int] | None:
    """What makes an operation part of such a row; None: it never is."""
    return (operation.object, operation.pid) if operation.kind in ("dev.write", "dev.discard") else None


def left_out(scenario: Scenario, operations: Sequence[OperationRecord]) -> list[str]:
    """What a scenario does not strike although it lies inside its step, as sentences."""
    if not scenario.step or "during" not in scenario.phases:
        return []
    steps = steps_of(operations)
    count = sum(steps[index] == scenario.step for index in monotonous(operations))
    if not count:
        return []
    return [
        f"{scenario.name}: {count} writes of data blocks in rows; the first, middle and last of each row are struck"
    ]


def trials(scenario: Scenario, operations: Sequence[OperationRecord], driver: str) -> list[Trial]:
    """Every trial of one scenario, in the order of the trace."""
    return [
        Trial(
            id=f"{scenario.name}/{point.phase}/{_slug(point.operation)}/{victim}",
            driver=driver,
            scenario=scenario.name,
            setup=setup_of(scenario),
            point=point,
            fault=scenario.fault,
            victim=victim,
            restarts=scenario.restarts,
        )
        for point in points(scenario, operations)
        for victim in scenario.victims
    ]


def _slug(key: str) -> str:
    """A key as it appears in an id: no blanks and no slashes, so that shells and file names take it as it is."""
    return re.sub(r"[^A-Za-z0-9.#*_+-]+", "-", key).strip("-").replace("*", "x").replace("#", "-")


def write(path: Path, plan: Iterable[Trial]) -> None:
    """Store a plan as JSON, one trial a line."""
    lines = ",\n".join(json.dumps(trial.as_json()) for trial in plan)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read(path: Path) -> list[Trial]:
    """Read a stored plan; raises UsageError when the file is not one."""
    try:
        return [Trial.from_json(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError as error:
        raise UsageError(f"'{path}' does not exist: name a plan.json that a run has written.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"'{path}' is not a plan of this version: {error}") from error
