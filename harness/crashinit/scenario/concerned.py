"""Which scenarios are run on a driver: one that says what it expects of drivers is for these."""

from collections.abc import Sequence

from crashinit.errors import UsageError
from crashinit.scenario.scenario import Scenario


def concerned(scenarios: Sequence[Scenario], driver: str) -> list[Scenario]:
    """Those for the driver of this name, as they are for it. Raises UsageError where there is none."""
    found = [one.on(driver) for one in scenarios if one.concerns(driver)]
    if not found:
        raise UsageError(f"no scenario expects anything of the driver '{driver}': see 'expect' in them.")
    return found
