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

CAMPAIGN = "crashinit-campaign"  # the name under which a run's Campaign is registered with pytest


class ScenarioFile(pytest.File):
    """One scenario file; its tests are the trials that the plan holds for it."""

    def collect(self) -> Iterable[pytest.Item]:
        from crashinit.scenario.scenario import load

        campaign: Any = self.config.pluginmanager.get_plugin(CAMPAIGN)
        name = load(self.path).name
        if campaign.lists:
            yield Unplanned.from_parent(self, name=name)
            return
        for trial in campaign.prepared.trials:
            if trial.scenario == name:
                yield TrialItem.from_parent(self, name=trial.id, trial=trial, campaign=campaign)


class Unplanned(pytest.Item):
    """What stands for a scenario's trials in a listing; it is never run."""

    def runtest(self) -> None:
        raise NotImplementedError


class TrialFailedError(Exception):
    """A trial that did not converge; its text is all that a reader needs."""


class TrialItem(pytest.Item):
    """One trial as a test."""

    def __init__(self, *, trial: Any, campaign: "Campaign", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trial = trial
        self.campaign = campaign
        self.result: TrialResult | None = None

    def runtest(self) -> None:
        from crashinit.campaign import campaign
        from crashinit.campaign.tries import HowOften

        self.result = campaign.run_one(
            self.campaign.runner(),
            self.trial,
            self.campaign.prepared,
            self.campaign.out,
            HowOften(*self.campaign.tries),
            self.campaign.results,
        )
        self.campaign.results[self.trial.id] = self.result
        if self.result.outcome != "converged":
            raise TrialFailedError

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

        again = replay(self.result, shown(self.campaign.out))
        often = [f"  {said}" for said in (how_often([self.result]),) if said]
        lines = [f"{self.result.outcome}: {self.result.reason}", *often, *failed, f"again: {again}"]
        return "\n".join(map(printable, lines))

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, None, self.name


def shown(path: Path) -> Path:
    """A path as people have it: relative, if it lies below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
