"""How a trial is done again: the command that every report prints."""

import json
import shlex
from functools import lru_cache
from pathlib import Path

from crashinit.events import TrialResult
from crashinit.machine.seed import options

COLD = "--provider qemu-cold"


def replay(result: TrialResult, directory: Path | None, machines: str | None = None) -> str:
    """The command that does this trial again, with the run that planned it; "" when its result has none.

    Without the run it would be the trial of that id in some other run, which may be another driver's. `machines`: where
    they come from, as options; by default from where they came in that run, if they had a seed.
    """
    if not result.replay:
        return ""
    # Made of the id, and not taken from the result: that comes from a file, and people paste the command into a shell.
    command = f"crashinit replay {shlex.quote(result.id)}"
    if directory is None:
        return command
    machines = _seeded(directory) if machines is None else machines
    return f"{command} --run {shlex.quote(str(directory))} {machines}".rstrip()


def _seeded(directory: Path) -> str:
    """The options that name the seed of a run's machines; "" when they had none, or the run is not there."""
    path = directory / "run.json"
    try:
        now = path.stat()
        return _options(path.absolute(), (now.st_mtime_ns, now.st_size))
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=1)
def _options(path: Path, _version: tuple[int, int]) -> str:
    """The same of one run.json, which names all trials, and so is not read for each of them."""
    run = json.loads(path.read_text())
    return options(str(run.get("provider", ""))) if isinstance(run, dict) else ""
