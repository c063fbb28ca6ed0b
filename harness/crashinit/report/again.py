"""How a trial is done again: the command that every report prints."""

import shlex
from pathlib import Path

from crashinit.events import TrialResult

REPORTS = Path("reports")  # where `crashinit replay` looks for a trial whose run is not named


def replay(result: TrialResult, directory: Path | None, *, named: bool = False) -> str:
    """The command that does this trial again; "" when its result has none.

    The run is named where `crashinit replay` would not find it by itself, and always if it is to be `named`.
    """
    if not result.replay:
        return ""
    # Made of the id, and not taken from the result: that comes from a file, and people paste the command into a shell.
    command = f"crashinit replay {shlex.quote(result.id)}"
    if directory is None or not (named or directory.resolve().parent != REPORTS.resolve()):
        return command
    return f"{command} --run {shlex.quote(str(directory))}"
