"""How a trial is done again: the command that every report prints."""

import json
import shlex
from functools import lru_cache
from pathlib import Path

from crashinit.machine.seed import options, with_guest
from crashinit.model.events import TrialResult

COLD = "--provider qemu-cold"
BUNDLE = "bundle.json"  # in the directory of a run that came in one archive, and in that archive


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
    if archive := archive_of(directory):
        return f"crashinit replay {shlex.quote(archive)} {machines or ''}".rstrip()
    machines = options(machines_of(directory), result.seed) if machines is None else machines
    return f"{command} --run {shlex.quote(str(directory))} {machines}".rstrip()


def bundle(result: TrialResult, directory: Path) -> str:
    """The command that packs this trial into one archive; "" where it is in one, or its result has no trial."""
    if not result.replay or archive_of(directory):
        return ""
    return f"crashinit bundle {shlex.quote(result.id)} --run {shlex.quote(str(directory))}"


def archive_of(directory: Path) -> str:
    """The name of the archive that this run came in; "" if it came in none."""
    try:
        return str(json.loads((directory / BUNDLE).read_text())["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


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
