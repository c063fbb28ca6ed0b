"""How a trial is done again: the command that every report prints."""

import shlex
from pathlib import Path

from crashinit.events import TrialResult

REPORTS = Path("reports")  # where `crashinit replay` looks for a trial whose run is not named


def replay(result: TrialResult, directory: Path | None, *, named: bool = False) -> str:
    """The command that does this trial again; "" when its result has none.

    The run is named where `crashinit replay` would not find it by itself, and always if it is to be `named`.
    """
    if not result.replay or directory is None or not (named or directory.resolve().parent != REPORTS.resolve()):
        return result.replay
    return f"{result.replay} --run {shlex.quote(str(directory))}"
