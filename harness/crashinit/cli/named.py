"""The drivers that scenarios name themselves, by what they expect of them (`expect`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crashinit.errors import UsageError

if TYPE_CHECKING:
    from crashinit.scenario.scenario import Scenario

DRIVERS = "drivers"  # beside scenarios: adapters of drivers with one bug each


def drivers(scenarios: "Sequence[Scenario]", paths: Sequence[Path]) -> list[str]:
    """The adapters of the drivers that all these scenarios are for. Raises UsageError for one that does not say."""
    for one in scenarios:
        if not one.expect:
            raise UsageError(
                f"the scenario '{one.name}' is for any driver: give '--driver'; only those that say in 'expect' what "
                "they expect of which driver need none."
            )
    names = dict.fromkeys(driver for one in scenarios for driver in one.expect)
    return [adapter_of(driver, paths) for driver in names]


def adapter_of(driver: str, paths: Sequence[Path]) -> str:
    """Where the adapter of that driver is: in a directory beside the scenarios, or it is one that comes along."""
    from crashinit.scenario.scenario import located

    for path in map(located, paths):
        directory = path if path.is_dir() else path.parent
        if found := sorted(directory.rglob(f"{DRIVERS}/{driver}.toml")):
            return str(found[0])
    return driver
