"""How a trial is done again: the command that every report prints."""

import shlex
from pathlib import Path

from crashinit.events import TrialResult


def replay(result: TrialResult, directory: Path | None) -> str:
    """The command that does this trial again, with the run that planned it; "" when its result has none.

    Without the run it would be the trial of that id in some other run, which may be another driver's.
    """
    if not result.replay:
        return ""
    # Made of the id, and not taken from the result: that comes from a file, and people paste the command into a shell.
    command = f"crashinit replay {shlex.quote(result.id)}"
    return command if directory is None else f"{command} --run {shlex.quote(str(directory))}"
