"""Where in an ordered list of versions a failure appears or goes: as few tries as a bisection needs."""

from collections.abc import Callable
from dataclasses import dataclass

Fails = bool | None  # whether a version fails so; None: unclear, since it has no such point, or it could not be judged


@dataclass(frozen=True)
class Change:
    """Between which two versions the answer changes; those between them are unclear."""

    before: int  # the last version that is as the first one
    after: int  # the first version that is as the last one
    fails_before: bool
    tried: dict[int, Fails]


@dataclass(frozen=True)
class NoChange:
    """Both ends answer alike, or one of them is unclear."""

    first: Fails
    last: Fails
    tried: dict[int, Fails]


def bisect(count: int, fails: Callable[[int], Fails]) -> Change | NoChange:
    """Try the ends of `count` versions, and then halves of what is between. Of an unclear version a neighbour is tried,
    the nearest to the middle first."""
    tried: dict[int, Fails] = {}

    def answer(version: int) -> Fails:
        if version not in tried:
            tried[version] = fails(version)
        return tried[version]

    before, after = 0, count - 1
    first, last = answer(before), answer(after)
    if first is None or last is None or first == last:
        return NoChange(first, last, tried)
    while True:
        middle = (before + after) / 2
        between = sorted(range(before + 1, after), key=lambda version: abs(version - middle))
        clear = next((version for version in between if answer(version) is not None), None)
        if clear is None:
            return Change(before, after, first, tried)
        if tried[clear] == first:
            before = clear
        else:
            after = clear
