"""How a trial is done again: the command that every report prints."""

import json
import shlex
from functools import lru_cache
from pathlib import Path

from crashinit.machine.seed import options, with_guest
from crashinit.model.events import TrialResult

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
    machines = options(machines_of(directory), result.seed) if machines is None else machines
    return f"{command} --run {shlex.quote(str(directory))} {machines}".rstrip()


def machines_of(directory: Path) -> str:
    """The provider of the run in that directory, with seed and guest if it has them; "" when it is not known."""
    path = directory / "run.json"
    try:
        now = path.stat()
        return _provider(path.absolute(), (now.st_mtime_ns, now.st_size))
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=1)
def _provider(path: Path, _version: tuple[int, int]) -> str:
    """The same of one run.json, which names all trials, and so is not read for each of them."""
    run = json.loads(path.read_text())
    return with_guest(str(run.get("provider", "")), str(run.get("guest", ""))) if isinstance(run, dict) else ""
