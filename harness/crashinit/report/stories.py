"""What a run's directory knows beyond its results: the plan, inits without faults, and the evidence of each trial."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from crashinit import adapters, families
from crashinit.adapters import Adapter
from crashinit.errors import UsageError
from crashinit.model.events import TrialResult
from crashinit.model.observation import Evidence
from crashinit.model.trial import Setup, Trial
from crashinit.report.story import Story, story
from crashinit.run.kept import PLAN, read_prepared, stored
from crashinit.scenario import plan


class Stories:
    """The stories of one run's trials. A part that the directory lacks, or that is damaged, is left untold."""

    def __init__(self, directory: Path, driver: str) -> None:
        self._directory = directory
        self._driver = driver

    @cached_property
    def trials(self) -> Mapping[str, Trial]:
        """The planned trials by their ids."""
        try:
            return {trial.id: trial for trial in plan.read(self._directory / PLAN)}
        except (UsageError, OSError):
            return {}

    @cached_property
    def healthy(self) -> Mapping[Setup, Evidence]:
        """An init without faults of each setup."""
        try:
            return read_prepared(self._directory).references
        except (UsageError, OSError):
            return {}

    @cached_property
    def adapter(self) -> Adapter | None:
        """The driver's adapter; None when it is gone."""
        try:
            return adapters.load(self._driver)
        except UsageError:
            return None

    def steps_of(self, healthy: Evidence) -> list[str]:
        """The step of each operation of an init without faults."""
        family = self.adapter.kind if self.adapter else families.load()
        return family.steps_during(healthy.during, healthy.fault_run.operations)

    def evidence(self, result: TrialResult) -> Evidence | None:
        """A trial's own; of one that another stands for, that one's. None: none is kept."""
        for name in (result.id, result.same_as):
            try:
                if name:
                    return stored(self._directory, name)
            except (UsageError, OSError):
                continue
        return None

    def of(self, result: TrialResult) -> Story | None:
        """The story of a trial; None without its evidence."""
        evidence = self.evidence(result)
        if evidence is None:
            return None
        trial = self.trials.get(result.id)
        healthy = self.healthy.get(trial.setup) if trial else None
        return story(result, evidence, healthy, self.adapter, trial, self._directory)
