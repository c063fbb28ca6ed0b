"""What a trial costs on a cluster beside the trial itself: trials that take no time, on two workers of this host.

`python -m benchmarks.cluster DIR` takes the evidence that they bring home from a run's directory.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from crashinit import adapters
from crashinit.campaign.planning import Runners
from crashinit.campaign.workers import Done
from crashinit.cluster.engine import Cluster
from crashinit.cluster.work import packed
from crashinit.model.observation import Evidence
from crashinit.model.trial import Point, Setup, Trial
from crashinit.run.kept import read_prepared, stored
from distributed import Client, LocalCluster

UNITS, EACH, WORKERS = 100, 6, 2  # a unit has as many trials as one boundary of the five steps, or some more
EVIDENCE = "CRASHINIT_BENCH_EVIDENCE"


class Nothing:
    """Has the same evidence for each trial, at once."""

    adapter = adapters.load("reference")

    def __enter__(self) -> Self:
        self.evidence = Evidence.model_validate_json(Path(os.environ[EVIDENCE]).read_text())
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def expect(self, trials: Sequence[Trial]) -> None:
        pass

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        return self.evidence, {"total": 0.0}


class Nothings(Runners):
    """Makes them."""

    def __call__(self) -> Nothing:  # type: ignore[override]
        return Nothing()

    def accel(self) -> str:
        return "none"


def _trial(unit: int, n: int) -> Trial:
    point = Point("loopback", "before", unit + 1, f"file.create {unit}")
    return Trial(f"bench/{unit}/{n}", "reference", "bench", Setup("fresh", (), 60.0), point, "kill", "tree", 1)


def cost(evidence: Evidence) -> None:
    """Measure and print."""
    units = [[_trial(unit, n) for n in range(EACH)] for unit in range(UNITS)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(evidence.model_dump_json())
        file.flush()
        os.environ[EVIDENCE] = file.name
        with (
            LocalCluster(
                n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, worker_dashboard_address=None
            ) as local,
            Client(local) as client,
        ):
            engine, make = Cluster(client), Nothings("reference", "vagrant", Path())
            for _ in engine.run(units[: WORKERS * 2], make):  # type: ignore[arg-type]
                pass  # all is imported now
            before = time.process_time(), time.monotonic()
            done = sum(isinstance(one, Done) for one in engine.run(units, make))  # type: ignore[arg-type]
            cpu, wall = time.process_time() - before[0], time.monotonic() - before[1]
    assert done == UNITS * EACH
    print(f"cluster, all of it         {1000 * wall / done:6.2f} ms a trial on {WORKERS} workers, {done} trials")
    print(f"cluster, the scheduler     {1000 * cpu / done:6.2f} ms of CPU a trial, with the owner in the same process")
    print(f"evidence that comes home   {len(packed(evidence)) / 1000:6.1f} kB a trial, packed")


def main(directory: Path) -> None:
    """Measure with the evidence of a run's first trial that has some."""
    for trial in read_prepared(directory).trials:
        with suppress(FileNotFoundError):
            return cost(stored(directory, trial.id))
    return None


if __name__ == "__main__":
    from benchmarks import cluster  # as its workers know it

    cluster.main(Path(sys.argv[1]))
