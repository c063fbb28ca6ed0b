"""Which directory a run gets."""

from datetime import datetime
from pathlib import Path

from crashinit.errors import UsageError

REPORTS = Path("reports")


def run_directory(out: Path | None, name: str, *, resume: bool, force: bool) -> Path:
    """The run's directory: the one that is given, or a new one by name and date below 'reports'. Raises UsageError."""
    if resume and force:
        raise UsageError("'--resume' keeps the results and '--force' replaces them: give one of the two.")
    if out is None and resume:
        raise UsageError("'--resume' needs '--out DIR': name the directory of the run to go on with.")
    return out or REPORTS / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
