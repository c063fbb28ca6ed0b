"""The files of a bundle: a run's directory with one trial, which lies beside what is for people."""

from dataclasses import replace
from pathlib import Path

from crashinit.adapters import Adapter
from crashinit.errors import UsageError
from crashinit.model.fault import kind_of
from crashinit.model.trial import Trial
from crashinit.report.results import read, write
from crashinit.run.kept import EVIDENCE, PLAN, RECORDINGS, file_name
from crashinit.scenario import plan
from crashinit.trial.powercut import THEN, recording_name

# For people
README, STORY, KERNEL_LOG, SCENARIO = "README.md", "story.txt", "kernel.log", "scenario.yaml"
# Names that are short and the same in each archive, where a run's directory has others
TRIAL = f"{EVIDENCE}/trial.json.gz"
RECORDING = f"{RECORDINGS}/recording.gz"


def only_trial(directory: Path, archive: Path) -> Trial:
    """The one trial of the plan there. Raises UsageError."""
    trials = plan.read(directory / PLAN)
    if len(trials) != 1:
        raise UsageError(f"'{archive}' is no bundle: its plan has {len(trials)} trials, and not one.")
    return trials[0]


def placed(directory: Path, archive: Path, driver: str, guest: str) -> None:
    """Have the run there name its adapter and its guest so."""
    trial = only_trial(directory, archive)
    plan.write(directory / PLAN, [replace(trial, driver=driver, guest=guest if trial.guest else "")])
    run = read(directory)
    results = [replace(one, driver=driver, guest=guest if one.guest else "") for one in run.results]
    write(directory, replace(run, driver=driver, guest=guest, results=results))


def names(trial: Trial, adapter: Adapter) -> list[tuple[str, str]]:
    """What has another name in the archive than in a run's directory: both, the archive's first."""
    found = [(TRIAL, f"{EVIDENCE}/{file_name(trial.id)}.json.gz")]
    if kind_of(trial.fault).cuts_power:
        first = trial.state.partition(THEN)[0]
        name = recording_name(adapter, trial.setup, trial.earlier, first)
        found.append((RECORDING, f"{RECORDINGS}/{name}"))
    return found
