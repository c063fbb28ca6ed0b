"""The time that a run may take: its trials in the order of what they tell, and none begun after it."""

from collections.abc import Sequence
from time import monotonic
from typing import Any

import pytest

from crashinit.campaign.limit import NO_TIME
from crashinit.plugin.items import TrialItem

LEFT = "crashinit_left"  # on a test's report: the trial that there was no time for


class Budget:
    """A pytest plugin for one process of a run. Its clock is the system's: all processes of a run begin it at once."""

    def __init__(self, limit: float, begin: float | None) -> None:
        self._limit = limit
        self._begin = begin

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Trials change places with one another; other tests stay where they are."""
        places = [place for place, item in enumerate(items) if isinstance(item, TrialItem)]
        for place, item in zip(places, _in_order([items[place] for place in places]), strict=True):
            items[place] = item

    def pytest_collection_finish(self) -> None:
        if self._begin is None:
            self._begin = monotonic()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if isinstance(item, TrialItem) and monotonic() - (self._begin or 0.0) > self._limit:
            pytest.skip(f"{NO_TIME} ({self._limit:g} s)")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if isinstance(item, TrialItem) and call.when == "setup" and NO_TIME in str(call.excinfo and call.excinfo.value):
            setattr(report, LEFT, item.trial.id)
        return report


def _in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    from crashinit.campaign.order import by_what_they_tell

    trials = {item.trial.id: item for item in items if isinstance(item, TrialItem)}
    if not trials:
        return []
    references = next(iter(trials.values())).campaign.prepared.references
    units = by_what_they_tell([item.trial for item in trials.values()], references)
    return [trials[trial.id] for unit in units for trial in unit]
