"""`make bench`: clone and whole trial against booting the same machine cold, and what the harness adds to a trial.

Times on a shared machine drift, so every figure is taken in this one run, and ratios are what to quote.
"""

import statistics
import time
from collections.abc import Callable

from crashinit import plan
from crashinit.adapters import load
from crashinit.machine.provider import QemuProvider
from crashinit.plan import Setup
from crashinit.scenario import Scenario
from crashinit.trial import TrialRunner

CLONES, BOOTS, TRIALS = 20, 3, 6
POINT = Scenario(title="the base is about to be made", name="bench", at=("exec mkfs.ext4#1",), victims=("tree",))


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def main() -> None:
    """Measure and print."""
    provider = QemuProvider(note=print)
    with TrialRunner(provider, load("reference")) as runner:
        template = runner.driver_template()
        reference, _ = runner.reference(Setup("fresh", (), 60.0))
        [trial] = plan.trials(POINT, reference.fault_run.operations, "reference")
        clone = statistics.median(seconds(lambda: template.clone().close()) for _ in range(CLONES))
        boot = statistics.median(seconds(lambda: provider.boot().close()) for _ in range(BOOTS))
        parts = [runner.run(trial)[1] for _ in range(TRIALS)]
    whole = statistics.median(part["total"] for part in parts[1:])  # the first also pays for the recorded init
    guest = statistics.median(part["guest"] for part in parts[1:])
    print(f"clone to first answer      {clone:6.2f} s")
    print(f"cold boot to first answer  {boot:6.2f} s   {boot / clone:5.1f} times a clone")
    print(f"whole trial                {whole:6.2f} s   {whole / boot:5.1f} times a cold boot")
    print(f"harness overhead           {whole - guest:6.2f} s   {(whole - guest) / whole:5.0%} of a trial")


if __name__ == "__main__":
    main()
