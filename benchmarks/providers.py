"""What a trial costs under Vagrant, against the same trial under QEMU."""

import statistics

from crashinit.adapters import load
from crashinit.errors import HostError
from crashinit.faults import planned
from crashinit.machine.protocol import Provider
from crashinit.machine.provider import get_provider
from crashinit.scenario import plan
from crashinit.scenario.scenario import Scenario
from crashinit.trial.runner import TrialRunner

# Far from each other: as in a campaign, each trial goes on to a boundary, forks there, and starts from the fork.
POINTS = Scenario(
    title="five points of the init",
    name="bench",
    at=("dm.create pool#1", "dm.create base#1", "exec mkfs.ext4#1", "exec tune2fs#1", "dm.remove base#1"),
    victims=("tree",),
)


def providers() -> None:
    """Measure and print; without Vagrant, one sentence."""
    try:
        slow = get_provider("vagrant", note=print)
    except HostError as problem:
        print(f"trial under both providers: left out, for {problem}")
        return
    vagrant, own = _trial(slow)
    qemu, guest = _trial(get_provider("qemu", note=print))
    print(f"trial under qemu           {qemu:6.2f} s   of it {guest:5.2f} s in the driver and the probe")
    print(f"trial under vagrant        {vagrant:6.2f} s   of it {own:5.2f} s in the driver and the probe")
    print(f"a trial under vagrant costs {vagrant / qemu:.1f} times one under qemu")


def _trial(provider: Provider) -> tuple[float, float]:
    """Seconds of a whole trial, and of what the driver and the probe use of it."""
    setup = plan.setup_of(POINTS)
    with TrialRunner(provider, load("reference")) as runner:
        reference, _ = runner.reference(setup)
        trials = planned.trials(POINTS, reference.fault_run, "reference", runner.adapter.kind)
        parts = [runner.run(trial)[1] for trial in trials][1:]  # the first also pays for the recorded init
    assert len(parts) == len(POINTS.at) - 1
    return statistics.median(part["total"] for part in parts), statistics.median(part["guest"] for part in parts)


if __name__ == "__main__":
    providers()
