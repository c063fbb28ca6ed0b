"""A scenario file's trials as tests."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crashinit.model.events import TrialResult
from crashinit.text.printable import printable

if TYPE_CHECKING:
    from crashinit.plugin.plugin import Campaign
    from crashinit.scenario.expected import Failure
    from crashinit.scenario.scenario import Scenario

CAMPAIGN = "crashinit-campaign"  # the name under which a run's Campaign is registered with pytest


class ScenarioFile(pytest.File):
    """One scenario file; its tests are the trials that the plan holds for it."""

    def collect(self) -> Iterable[pytest.Item]:
        from crashinit.scenario.scenario import load

        yield from tests_of(self, load(self.path))


class Exploration(pytest.Collector):
    """What stands for the file that an exploration has not."""

    def collect(self) -> Iterable[pytest.Item]:
        for scenario in _campaign(self).asked.explored:
            yield from tests_of(self, scenario)


def tests_of(parent: pytest.Collector, scenario: "Scenario") -> Iterable[pytest.Item]:
    """A scenario's trials; of a listing that does not know them, one test for all."""
    campaign = _campaign(parent)
    if campaign.prepared is None:
        yield Unplanned.from_parent(parent, name=scenario.name)
        return
    expected = scenario.expect.get(campaign.driver)
    for trial in campaign.chosen:
        if trial.scenario == scenario.name:
            yield TrialItem.from_parent(parent, name=trial.id, trial=trial, campaign=campaign, expected=expected)


def _campaign(node: pytest.Collector) -> "Campaign":
    campaign: Campaign = node.config.pluginmanager.get_plugin(CAMPAIGN)  # type: ignore[assignment]
    return campaign


class Unplanned(pytest.Item):
    """What stands for a scenario's trials in a listing; it is never run."""

    def runtest(self) -> None:
        raise NotImplementedError


class TrialFailedError(Exception):
    """A trial that did not converge; its text is all that a reader needs."""


class TrialItem(pytest.Item):
    """One trial as a test. `expected`: how it may fail on this driver, by its scenario."""

    def __init__(self, *, trial: Any, campaign: "Campaign", expected: "Failure | str | None", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trial = trial
        self.campaign = campaign
        self.expected = expected
        self.result: TrialResult | None = None
        about = {"step": trial.point.step, "phase": trial.point.phase, "fault": trial.fault, "victim": trial.victim}
        self.add_marker(pytest.mark.crashinit(**about, error=trial.error, operation=trial.point.operation))

    def runtest(self) -> None:
        from crashinit.campaign import campaign

        self.result = campaign.run_one(
            self.campaign.runner(),
            self.trial,
            self.campaign.prepared,
            self.campaign.asked.out,
            self.campaign.asked.often,
            self.campaign.results,
        )
        self.campaign.results[self.trial.id] = self.result
        if self.result.outcome == "converged":
            return
        if known := self._known(self.result):
            pytest.xfail(printable(f"{known}: {self.result.reason}"))
        raise TrialFailedError

    def _known(self, result: TrialResult) -> str:
        """Why this failure is none that stops anybody; "": it is."""
        if result.outcome == "error":
            return ""
        if entry := next((one for one in self.campaign.known if one.explains(result)), None):
            return f"known ({entry.reason})"
        is_expected = self.expected and not isinstance(self.expected, str) and self.expected.covers(result)
        return "expected of this driver" if is_expected else ""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if not isinstance(excinfo.value, TrialFailedError) or self.result is None:
            return super().repr_failure(excinfo)
        failed = [
            f"  {clause}: {self.result.clause_reasons.get(clause, '')}"
            for clause, status in self.result.clauses.items()
            if status == "fail"
        ]
        from crashinit.report.again import replay
        from crashinit.report.kinds import how_often

        again = replay(self.result, shown(self.campaign.asked.out))
        often = [f"  {said}" for said in (how_often([self.result]),) if said]
        lines = [f"{self.result.outcome}: {self.result.reason}", *often, *failed, f"again: {again}"]
        return "\n".join(map(printable, lines))

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, None, self.name


def shown(path: Path) -> Path:
    """A path as people have it: relative, if it lies below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
