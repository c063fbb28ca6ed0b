"""What a crash state costs, against booting a machine from cold for each of them."""

import statistics
import tempfile
import time
from pathlib import Path

from crashinit.adapters import load
from crashinit.faults.powercut.plan import setup_of, trials
from crashinit.machine.provider import QemuProvider
from crashinit.run.kept import RECORDINGS
from crashinit.scenario.plan import spread
from crashinit.scenario.scenario import Scenario
from crashinit.trial.powercut import PowerCutRunner, recording_name

STATES, BOOTS = 6, 3
EVERY = Scenario(title="the power goes at any moment", name="bench", fault="power-cut", step="all")


def main() -> None:
    """Measure and print states a minute on one worker, with clones and as if each machine were booted."""
    provider = QemuProvider(note=print)
    setup = setup_of(EVERY, load("reference"))
    with (
        tempfile.TemporaryDirectory() as directory,
        PowerCutRunner(provider, load("reference"), Path(directory)) as runner,
    ):
        recorded, _ = runner.record(setup)
        recorded.store(runner.out / RECORDINGS / recording_name(runner.adapter, setup))
        planned, _ = trials(EVERY, recorded, "reference", runner.adapter)
        parts = [runner.run(trial)[1] for trial in spread(planned, STATES)]
        boots = []
        for _ in range(BOOTS):
            begin = time.monotonic()
            provider.boot().close()
            boots.append(time.monotonic() - begin)
    state = statistics.median(part["total"] for part in parts)
    cold = state - statistics.median(part["clone"] for part in parts) + statistics.median(boots)
    print(f"power cuts                 {60 / state:6.1f} states a minute")
    print(f"the same, booted cold      {60 / cold:6.1f} states a minute   {cold / state:5.1f} times as long a state")
