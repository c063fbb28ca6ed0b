"""The runs of several shards put together into one run's directory."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from crashinit.errors import HostError, UsageError
from crashinit.files.safe import disk_errors
from crashinit.run.kept import ERRORS, EVIDENCE, PLAN, RECORDINGS, SCENARIOS

PARTS = {EVIDENCE: "*.json.gz", RECORDINGS: "*.gz", ERRORS: "*.txt"}


def refuse_unlike(shards: Sequence[tuple[Path, str]]) -> None:
    """Refuse what are not all shards of one plan, by each directory and what its run says of itself ("2/5").

    Raises UsageError, or HostError where one is missing.
    """
    plan = (shards[0][0] / PLAN).read_bytes() if (shards[0][0] / PLAN).exists() else b""
    counts: set[int] = set()
    found: dict[int, Path] = {}
    for directory, shard in shards:
        match = re.fullmatch(r"(\d+)/(\d+)", shard)
        if not match:
            raise UsageError(f"'{directory}' holds no run of a shard: '--shard K/N' makes one.")
        if not (directory / PLAN).exists() or (directory / PLAN).read_bytes() != plan:
            raise UsageError(f"'{directory}' holds a run of another plan than '{shards[0][0]}'.")
        number, count = int(match[1]), int(match[2])
        if number in found:
            raise UsageError(f"'{found[number]}' and '{directory}' both hold shard {shard}.")
        found[number] = directory
        counts.add(count)
    if len(counts) > 1:
        raise UsageError(f"the runs are shards of {' and of '.join(map(str, sorted(counts)))}, and not of one number.")
    if missing := sorted(set(range(1, max(counts) + 1)) - set(found)):
        which = ", ".join(f"{number}/{max(counts)}" for number in missing)
        raise HostError(f"of {max(counts)} shards {which} {'is' if len(missing) == 1 else 'are'} missing.")


def copy(shards: Sequence[Path], out: Path) -> None:
    """What the runs have kept beside their results, into one directory; the plan last."""
    with disk_errors(out):
        for name, pattern in PARTS.items():
            for shard in reversed(shards):  # of what all have, the first one's stays
                for path in sorted((shard / name).glob(pattern)):
                    (out / name).mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, out / name / path.name)
        if (shards[0] / SCENARIOS).exists():  # a run of an earlier version did not keep them
            shutil.copyfile(shards[0] / SCENARIOS, out / SCENARIOS)
        shutil.copyfile(shards[0] / PLAN, out / PLAN)
