"""Where trials were planned: an id, or the path of a plan or a bundle, becomes the run's plan and its trials."""

from pathlib import Path
from typing import TYPE_CHECKING

from crashinit.errors import UsageError
from crashinit.run.directory import REPORTS

BUNDLES = (".tar.gz", ".tgz")  # how the name of an archive ends

if TYPE_CHECKING:
    from crashinit.model.trial import Trial


def find(target: str, source: Path | None) -> "tuple[Path, list[Trial]]":
    """The plan that holds these trials, and the trials."""
    from crashinit.scenario import plan

    if is_bundle(target):
        return _bundled(Path(target), source)
    if Path(target).suffix == ".json":
        path = Path(target)
        trials = plan.read(path)
        plan.refuse_empty(path, trials)
        return path, trials
    found = _runs_with(target, source)
    drivers = {trial.driver: path for path, trials in reversed(found) for trial in trials}
    if len(drivers) > 1:
        choice = ", ".join(f"'--run {path.parent}' ({driver})" for driver, path in drivers.items())
        raise UsageError(f"runs of several drivers have a trial '{target}': give one of {choice}.")
    if found:
        return found[0]
    where = f"the plan of '{source}'" if source else f"any plan below '{REPORTS}/'"
    raise UsageError(f"no trial '{target}' in {where}: name its run with '--run DIR', or the path of a plan.json.")


def is_bundle(target: str) -> bool:
    """Whether that names a bundle's archive, and no trial."""
    return target.endswith(BUNDLES)


def _bundled(archive: Path, source: Path | None) -> "tuple[Path, list[Trial]]":
    from crashinit.bundle.opened import opened
    from crashinit.run import kept
    from crashinit.scenario import plan

    if source is not None:
        raise UsageError(f"'{archive}' holds a run of its own: leave out '--run'.")
    path = opened(archive) / kept.PLAN
    return path, plan.read(path)


def _runs_with(target: str, source: Path | None) -> "list[tuple[Path, list[Trial]]]":
    """The plans with this trial, of one run if it is named, else of those below 'reports/', the newest first."""
    from crashinit.run import kept
    from crashinit.scenario import plan

    if source is not None:
        paths = [source / kept.PLAN]
    else:
        paths = sorted(REPORTS.glob(f"*/{kept.PLAN}"), key=lambda path: path.stat().st_mtime, reverse=True)
    found = []
    for path in paths:
        try:
            trials = [trial for trial in plan.read(path) if trial.id == target]
        except UsageError:
            if source is not None:
                raise
            continue  # a run that is damaged is none of those that were meant
        if trials:
            found.append((path, trials))
    return found
