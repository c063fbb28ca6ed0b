"""Where two pieces of evidence first differ, in the order of time and in plain words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from crashinit.model.observation import Evidence, OperationRecord, Run, Uevent

ABSENT = "nothing"
AROUND = 40  # characters of a long text before and after the place where it differs
# The parts of a trial in the order of time; of a list, each entry with its number
PARTS = {
    "before": "the root before the init",
    "earlier": "init {} that was killed",
    "fault_run": "the init with the fault",
    "fired": "the operation where the fault struck",
    "reinits": "init {} after the fault",
    "stops": "end {} of a daemon before another init",
    "after": "the state after the inits",
    "again": "the init once more",
    "after_again": "the state after the init once more",
    "exercise": "the use of the base",
    "shutdown": "the shutdown",
    "after_shutdown": "the state after the shutdown",
}
NAMES = ("key", "path", "name", "target", "id")  # by which of its fields an entry of a list is called


@dataclass(frozen=True)
class Difference:
    """One fact that is not the same in both."""

    where: str  # "init 1 after the fault, operation 12 'dm.create pool#1' of sh, 0.123456789 s after it began: pid"
    one: str
    other: str

    def __str__(self) -> str:
        return f"{self.where}: {self.one} in the first, {self.other} in this one"


def first_difference(one: Evidence, other: Evidence) -> Difference | None:
    """What differs first; None if all is equal, to the nanosecond."""
    named = [*PARTS, *(field for field in Evidence.model_fields if field not in PARTS)]
    for field in named:
        for name, left, right in _pairs(PARTS.get(field, f"{field} {{}}"), getattr(one, field), getattr(other, field)):
            if left != right:
                return _within(name, left, right)
    return None


def _pairs(name: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """A part of both, or the entries of a list in their order."""
    if not isinstance(one, list):
        yield name.replace(" {}", ""), one, other
        return
    for index in range(max(len(one), len(other))):
        yield name.format(index + 1), _entry(one, index), _entry(other, index)


def _within(where: str, one: Any, other: Any) -> Difference:
    """The first of what differs in two values that do."""
    if isinstance(one, Run) and isinstance(other, Run) and (found := _event(where, one, other)):
        return found
    if isinstance(one, BaseModel) and isinstance(other, BaseModel):
        for field in type(one).model_fields:
            left, right = getattr(one, field), getattr(other, field)
            if left != right:
                return _within(f"{where}: {field}", left, right)
    if isinstance(one, dict) and isinstance(other, dict):
        key = next(key for key in {**one, **other} if one.get(key, ABSENT) != other.get(key, ABSENT))
        return _within(f"{where} '{key}'", one.get(key), other.get(key))
    if isinstance(one, list) and isinstance(other, list):
        for name, left, right in _pairs("entry {}", one, other):
            if left != right:
                return _within(f"{where}, {_called(name, left, right)}", left, right)
    return Difference(where, *_shown(one, other))


def _event(where: str, one: Run, other: Run) -> Difference | None:
    """The operation or event that differs first in time; None if only what a run came to differs."""
    found = [
        (min(_seconds(left), _seconds(right)), name, left, right)
        for name, pairs in (
            ("operation", zip(*_filled(one.operations, other.operations), strict=True)),
            ("event", zip(*_filled(one.uevents, other.uevents), strict=True)),
        )
        for left, right in pairs
        if left != right
    ]
    if not found:
        return None
    seconds, name, left, right = min(found, key=lambda each: each[0])
    at = f"{seconds:.9f} s after it began"
    if _label(left) != _label(right):
        return Difference(f"{where}, {name}, {at}", _label(left), _label(right))
    return _within(f"{where}, {name} {_label(left)}, {at}", left, right)


def _filled(one: Sequence[Any], other: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Both with None at the end, of the same length."""
    length = max(len(one), len(other))
    return [*one, *[None] * (length - len(one))], [*other, *[None] * (length - len(other))]


def _seconds(event: OperationRecord | Uevent | None) -> float:
    return float("inf") if event is None else event.seconds


def _label(event: OperationRecord | Uevent | None) -> str:
    match event:
        case OperationRecord():
            return f"{event.n} '{event.key}' of {event.program}"
        case Uevent():
            return f"'{event.source} {event.action} {event.sysname}'"
    return ABSENT


def _called(name: str, one: Any, other: Any) -> str:
    """An entry of a list, with its own name where it has one."""
    entry = other if one is None else one
    own = next((getattr(entry, field) for field in NAMES if hasattr(entry, field)), None)
    return name if own is None else f"{name} '{own}'"


def _entry(values: Sequence[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _shown(one: Any, other: Any) -> tuple[str, str]:
    """Two values as a line bears them: of long texts the place where they part."""
    left, right = _text(one), _text(other)
    at = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    return _around(left, at), _around(right, at)


def _text(value: Any) -> str:
    if value is None or isinstance(value, BaseModel):
        return ABSENT if value is None else "something"
    return repr(value) if not isinstance(value, float) else f"{value:.9f}"


def _around(text: str, at: int) -> str:
    if len(text) <= 2 * AROUND:
        return text
    begin, end = max(0, at - AROUND), at + AROUND
    return f"{'…' * (begin > 0)}{text[begin:end]}{'…' * (end < len(text))}"
