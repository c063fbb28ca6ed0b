"""Worker processes: what is lost when a machine or a worker dies, and what is not."""

import functools
import os
import signal
from pathlib import Path

from crashinit.campaign import make_runner
from crashinit.machine.protocol import Provider
from crashinit.plan import Point, Setup, Trial
from crashinit.workers import Begun, Done, Failed, run_groups


def trial(operation: str) -> Trial:
    """A trial of the reference driver at this operation."""
    return Trial(
        id=f"test/{operation}",
        driver="reference",
        scenario="test",
        setup=Setup("fresh", (), 60.0),
        point=Point("loopback", "before", 1, operation),
        fault="kill",
        victim="tree",
        restarts=1,
    )


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def machines(worker: int) -> list[int]:
    """The QEMU processes of a worker."""
    return [pid for pid in children(worker) if "qemu" in Path(f"/proc/{pid}/comm").read_text()]


def workers() -> list[int]:
    """Our worker processes that have machines."""
    return [pid for pid in children(os.getpid()) if machines(pid)]


def test_machine_that_dies_costs_its_trial_alone(provider: Provider, tmp_path: Path) -> None:
    """QEMU killed in the middle of a trial: that trial is lost with a sentence, and the next one is done."""
    provider.template().close()
    first, second = trial("dm.create pool#1"), trial("dm.table-load pool#1")
    struck = False
    ended = []
    for message in run_groups([[first], [second]], functools.partial(make_runner, "reference", "qemu", tmp_path), 1):
        if isinstance(message, Begun) and message.trial == first:
            while not struck:
                for worker in workers():
                    for machine in machines(worker):
                        os.kill(machine, signal.SIGKILL)
                        struck = True
        elif not isinstance(message, Begun):
            ended.append(message)

    assert [type(message) for message in ended] == [Failed, Done]
    assert isinstance(ended[0], Failed)
    assert "QEMU was ended by signal 9" in ended[0].reason


def test_worker_that_dies_costs_its_trial_alone(provider: Provider, tmp_path: Path) -> None:
    """A worker killed in the middle of a trial leaves no machine; another one goes on with the next trial."""
    provider.template().close()
    first, second = trial("dm.create pool#1"), trial("dm.table-load pool#1")
    orphans: list[int] = []
    ended = []
    for message in run_groups([[first], [second]], functools.partial(make_runner, "reference", "qemu", tmp_path), 1):
        if isinstance(message, Begun) and message.trial == first:
            while not orphans:
                for worker in workers():
                    orphans = machines(worker)
                    os.kill(worker, signal.SIGKILL)
        elif not isinstance(message, Begun):
            ended.append(message)

    assert [type(message) for message in ended] == [Failed, Done]
    assert not [pid for pid in orphans if Path(f"/proc/{pid}").exists()]
