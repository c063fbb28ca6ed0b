"""Families of drivers, found by entry points: what one kind of driver has that others do not."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from crashinit.contract.clauses import CORE, Clause
from crashinit.contract.family import Family
from crashinit.errors import UsageError

GROUP = "crashinit.families"  # of entry points: each names a Family
DEFAULT = "thinpool"


def names() -> list[str]:
    """The families that are installed."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


@cache
def load(name: str = DEFAULT) -> Family:
    """The family of that name. Raises UsageError when there is none, or its package cannot be imported."""
    for entry in entry_points(group=GROUP, name=name):
        try:
            found = entry.load()
        except Exception as error:  # a package of somebody else's
            raise UsageError(f"the family '{name}' cannot be loaded from '{entry.value}': {error}.") from error
        if not isinstance(found, Family) or found.name != name:
            raise UsageError(f"'{entry.value}' is no family '{name}': it must name a crashinit.contract.family.Family.")
        return found
    raise UsageError(f"there is no family '{name}': known are {', '.join(names())}.")


@cache
def clauses() -> Mapping[str, Clause]:
    """The clauses of the core and of all families, in the order of their ids."""
    every = [*CORE, *(clause for name in names() for clause in load(name).own_clauses)]
    return {clause.id: clause for clause in sorted(every, key=lambda clause: clause.id)}


def steps() -> tuple[str, ...]:
    """The steps of all families, each once, those of the default family first."""
    return tuple(dict.fromkeys(step for name in (DEFAULT, *names()) for step in load(name).steps))
