"""What a dask worker is told: the run, the trials that lie together, and what comes back of one of them."""

import functools
import hashlib
import zlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import crashinit
from crashinit.campaign.planning import Runners
from crashinit.campaign.workers import Done, Failed
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial

BANDWIDTH = 100_000_000  # bytes a second between workers, by which dask reckons until it has measured
AFRESH = 3.0  # seconds that another worker needs to come to where this one already is: an init up to the boundary

# What a task answers, by its key: one of these
EVIDENCE = "evidence"  # it ran: JSON, packed; with "seconds"
REASON = "reason"  # the harness could not finish it; with "details"
LACKS = "lacks"  # the host lacks these goods, and cannot have them by itself
REFUSED = "refused"  # a sentence: no trial of this run can be run there; with "worker"
DIED = "died"  # the process that ran it ended, and how
Answer = dict[str, Any]


@functools.cache
def identity() -> str:
    """The version of crashinit with a digest of all its files: what must be the same on all hosts."""
    total = hashlib.sha256()
    package = Path(crashinit.__file__).parent
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.suffix not in (".pyc", ".pyo"):
            total.update(f"{path.relative_to(package)}\0{path.stat().st_size}\0".encode())
            total.update(path.read_bytes())
    return f"{version('crashinit')} ({total.hexdigest()[:12]})"


@dataclass(frozen=True)
class Work:
    """A run, as a host needs to know it."""

    id: str  # of this run among all; also of the topic by which hosts tell what they begin
    identity: str  # of the owner's crashinit
    kind: type[Runners]
    driver: str  # the name of an adapter that comes along, or a file in `files`
    provider: str  # without its guest
    guest: str  # likewise, the name or a file in `files`
    merges: bool
    accel: str  # how the owner's machines run
    image: str  # the key of the machines' image; "": none, or the owner has none either
    files: str  # the digest of an archive with the run's own files; "": it has none


@dataclass(frozen=True)
class Unit:
    """Trials that share a recorded init. A worker that holds it is the best place for all of them.

    It is small, but to go on with it elsewhere costs the way to its boundary: it weighs as many bytes as would take
    that long to be sent, so that dask moves a trial to another worker when that is the quicker way, and not before.
    """

    work: Work
    number: int
    trials: tuple[Trial, ...]

    def __sizeof__(self) -> int:
        return int(AFRESH * BANDWIDTH)


def packed(evidence: Evidence) -> bytes:
    """Evidence as it goes over the network."""
    return zlib.compress(evidence.model_dump_json().encode(), 6)


def answered(trial: Trial, answer: Answer) -> Done | Failed:
    """What came home of a trial that has ended."""
    if EVIDENCE in answer:
        evidence = Evidence.model_validate_json(zlib.decompress(answer[EVIDENCE]))
        return Done(trial, evidence, answer["seconds"])
    return Failed(trial, answer[REASON], answer["details"])
