"""`make bench`: what a clone, a trial, a boundary and a fork cost, each against the plain way to do the same.

Times on a shared machine drift, so every figure is taken in this one run, and ratios are what to quote.
"""

import statistics
import time
from collections.abc import Callable

from crashinit.adapters import load
from crashinit.adapters.driven import Driven
from crashinit.faults import planned
from crashinit.machine.provider import QemuProvider
from crashinit.machine.qemu.template import QemuTemplate
from crashinit.model.observation import OperationRecord
from crashinit.model.trial import Point, Setup
from crashinit.scenario.scenario import Scenario
from crashinit.trial.recording import Recording
from crashinit.trial.runner import TrialRunner

from benchmarks import cluster, peers, powercut
from benchmarks.providers import providers

CLONES, BOOTS, TRIALS = 20, 3, 6
POINT = Scenario(title="the base is about to be made", name="bench", at=("exec mkfs.ext4#1",), victims=("tree",))
FRESH = Setup("fresh", (), 60.0)
# mke2fs writes the inode table in blocks of 1 KiB, too: the same init with more than twice as many operations.
LONGER = Setup("fresh", ("dm.mkfsarg=-b", "dm.mkfsarg=1024"), 60.0)
MIB = 1 << 20


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def machines(provider: QemuProvider, runner: TrialRunner) -> float:
    """Clone against cold boot; seconds that a cold boot takes."""
    template = runner.driver_template()
    clone = statistics.median(seconds(lambda: template.clone().close()) for _ in range(CLONES))
    boot = statistics.median(seconds(lambda: provider.boot().close()) for _ in range(BOOTS))
    print(f"clone to first answer      {clone:6.2f} s")
    print(f"cold boot to first answer  {boot:6.2f} s   {boot / clone:5.1f} times a clone")
    return boot


def trials(runner: TrialRunner, boot: float) -> None:
    """A whole trial against a cold boot, and what of it is the harness's own."""
    reference, _ = runner.reference(FRESH)
    [trial] = planned.trials(POINT, reference.fault_run, "reference", runner.adapter.kind)
    parts = []
    for _ in range(TRIALS):
        # Without its id, which keeps one trial from standing for the next.
        evidence, part = runner.run(trial)
        assert not evidence.same_as
        parts.append(part)
    cluster.cost(evidence)
    whole = statistics.median(part["total"] for part in parts[1:])  # the first also pays for the recorded init
    guest = statistics.median(part["guest"] for part in parts[1:])
    print(f"whole trial                {whole:6.2f} s   {whole / boot:5.1f} times a cold boot")
    print(f"harness overhead           {whole - guest:6.2f} s   {(whole - guest) / whole:5.0%} of a trial")


def boundaries(runner: TrialRunner) -> None:
    """What it costs to come to each boundary of an init and fork there: of a short init, and of a longer one."""
    cost = {}
    for setup in (FRESH, LONGER):
        operations = runner.reference(setup)[0].fault_run.operations
        runner.given(setup)  # now, so that it costs nothing below
        forked = seconds(lambda o=operations, s=setup: _fork_everywhere(runner, s, o))  # type: ignore[misc]
        cost[setup] = forked / len(operations)
        last = Point("", "before", len(operations), operations[-1].key)
        rerun = seconds(lambda s=setup, p=last: _held(runner, s, p).close())  # type: ignore[misc]
        print(
            f"{len(operations):4} boundaries            {cost[setup]:6.3f} s a boundary by forks; to run the init anew "
            f"for each would be {rerun / 2:5.2f} s, {rerun / 2 / cost[setup]:4.1f} times as much"
        )
    print(f"cost a boundary, longer against shorter init  {cost[LONGER] / cost[FRESH]:5.2f}")


def _fork_everywhere(runner: TrialRunner, setup: Setup, operations: list[OperationRecord]) -> None:
    recording = _held(runner, setup, Point("", "before", 1, operations[0].key))
    try:
        for operation in operations:
            if recording.reach(Point("", "before", operation.n, operation.key)):
                recording.fork().clone().close()
    finally:
        recording.close()


def _held(runner: TrialRunner, setup: Setup, point: Point) -> Recording:
    machine = runner.given(setup).clone(forkable=True)
    return Recording(machine, Driven(machine, runner.adapter, setup).begin_init(point.operation), setup)


def memory(runner: TrialRunner) -> None:
    """What one waiting fork keeps in memory."""
    recording = _held(runner, FRESH, Point("mkfs", "before", 0, "exec mkfs.ext4#1"))
    fork = recording.fork()
    assert isinstance(fork, QemuTemplate)
    print(f"memory of a waiting fork   {fork.memory() / MIB:6.0f} MiB; a worker keeps one")
    recording.close()


def main() -> None:
    """Measure and print."""
    provider = QemuProvider(note=print)
    with TrialRunner(provider, load("reference")) as runner:
        trials(runner, machines(provider, runner))
        boundaries(runner)
        memory(runner)
    peers.main()
    powercut.main()
    providers()


if __name__ == "__main__":
    main()
