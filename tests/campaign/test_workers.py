"""Worker processes: what is lost when a machine or a worker dies, and what is not."""

import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest
from crashinit import adapters
from crashinit.campaign import workers
from crashinit.campaign.campaign import run_one
from crashinit.campaign.planning import make_runner
from crashinit.campaign.workers import Begun, Done, Failed, Message, run_groups
from crashinit.errors import GuestError
from crashinit.machine.protocol import Provider
from crashinit.machine.provider import get_provider
from crashinit.model.observation import Evidence
from crashinit.model.trial import Point, Setup, Trial
from crashinit.run.kept import Prepared

from ..contract.builder import evidence, reference
from ..processes import children, words
from ..toys import environment


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


def machines(worker: int) -> list[int]:
    """The QEMU processes of a worker that are machines; others only say where QEMU's files are."""
    return [pid for pid in children(worker) if b"-sandbox" in words(pid)]


def workers_with_machines() -> list[int]:
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
                for worker in workers_with_machines():
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
                for worker in workers_with_machines():
                    orphans = machines(worker)
                    os.kill(worker, signal.SIGKILL)
        elif not isinstance(message, Begun):
            ended.append(message)

    assert [type(message) for message in ended] == [Failed, Done]
    assert not [pid for pid in orphans if Path(f"/proc/{pid}").exists()]


BIG = 8 << 20  # bytes, much more than a pipe holds


class Runner:
    """Has no machine: what is tried here is what lies between a worker and its owner."""

    adapter = adapters.load("reference")
    provider = get_provider("qemu")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def expect(self, trials: Sequence[Trial]) -> None:
        pass

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        run = evidence().fault_run.model_copy(update={"stdout": "x" * BIG})
        return evidence().model_copy(update={"fault_run": run}), {}

    def forget(self) -> None:
        raise OSError("the machine is gone")


class Lingering(Runner):
    """Does not end by itself."""

    def __exit__(self, *exc: object) -> None:
        threading.Event().wait()


class Defect(Runner):
    """Has a fault of its own."""

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        raise IndexError("list index out of range")


class Complaining(Runner):
    """Tells of a fault in the guest's part of the harness."""

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        error = GuestError("the call 'probe' failed")
        error.details = "Traceback: in the guest"
        raise error


READ, WRITE = 0, 1  # system calls, <asm/unistd_64.h>


def kill_in(call: int) -> None:
    """Kill our only worker as soon as it waits in this system call."""
    [worker] = [pid for pid in children(os.getpid()) if any(b"spawn_main" in word for word in words(pid))]
    while Path(f"/proc/{worker}/syscall").read_text().split()[0] != str(call):
        pass
    os.kill(worker, signal.SIGKILL)
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)


def ended(*groups: list[Trial], after: type[Message], call: int, of: Trial) -> list[Message]:
    """What comes of these groups on one worker, which is killed in this call after this message."""
    found: list[Message] = []
    for message in run_groups(groups, Runner, 1):  # type: ignore[arg-type]
        if isinstance(message, after) and message.trial == of:
            kill_in(call)
        if not isinstance(message, Begun):
            found.append(message)
    return found


A, B, C = trial("a"), trial("b"), trial("c")


def test_worker_killed_while_it_sends_costs_its_trial_alone() -> None:
    """Half of the evidence is on its way: the rest of the group and all other groups are run by another worker."""
    found = ended([A, B], [C], after=Begun, call=WRITE, of=A)

    assert [(type(message), message.trial) for message in found] == [(Failed, A), (Done, B), (Done, C)]
    assert isinstance(found[0], Failed)
    assert found[0].reason == "its worker process died (signal SIGKILL)"


@pytest.mark.parametrize("last", [A, C])
def test_worker_killed_while_it_waits_costs_nothing(last: Trial) -> None:
    """It had nothing in hand: the next group is run by another worker, and if there is none, that is no loss."""
    found = ended([A], [C], after=Done, call=READ, of=last)

    assert [(type(message), message.trial) for message in found] == [(Done, A), (Done, C)]


def test_worker_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner waits for it only so long."""
    monkeypatch.setattr(workers, "PATIENCE", 0.2)
    found = [type(message) for message in run_groups([[A], [B]], Lingering, 2)]  # type: ignore[arg-type]

    assert sorted(kind.__name__ for kind in found) == ["Begun", "Begun", "Done", "Done"]
    assert not [pid for pid in children(os.getpid()) if any(b"spawn_main" in word for word in words(pid))]


@pytest.mark.parametrize(("runner", "known"), [(Defect, "in run\n"), (Complaining, "Traceback: in the guest")])
def test_what_is_known_of_a_defect_is_kept(tmp_path: Path, runner: type[Runner], known: str) -> None:
    """The result's reason names the file with the traceback, also when it came from the guest."""
    result = run_one(runner(), A, Prepared([A], {}, "tcg", []), tmp_path)  # type: ignore[arg-type]

    assert result.outcome == "error"
    assert "('errors/test~a.txt' in the run's directory has the traceback)" in result.reason
    assert known in (tmp_path / "errors" / "test~a.txt").read_text()


def test_what_cannot_be_judged_costs_its_trial_alone(tmp_path: Path) -> None:
    """An exception of the judge is that trial's error, and the next trial is judged."""
    lacking, whole = Prepared([A], {}, "tcg", []), Prepared([A], {A.setup: reference()}, "tcg", [])

    result = run_one(Runner(), A, lacking, tmp_path)  # type: ignore[arg-type]
    assert (result.outcome, result.clauses) == ("error", {})
    assert "the harness failed to judge it: KeyError" in result.reason
    assert run_one(Runner(), A, whole, tmp_path).outcome != "error"  # type: ignore[arg-type]


def test_worker_leaves_quietly() -> None:
    """A SIGTERM that comes while an object is deleted is obeyed a moment later, without a word; a SIGHUP is not."""
    program = (
        "import os, signal\n"
        "from crashinit.campaign.workers import leave_when_told\n"
        "leave_when_told()\n"
        "signal.raise_signal(signal.SIGHUP)\n"
        "class Deleted:\n"
        "    def __del__(self): signal.raise_signal(signal.SIGTERM)\n"
        "thing = Deleted()\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})  # the moment is not over before this is said\n"
        "del thing\n"
        "print('alive', flush=True)\n"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})\n"
        "while True: signal.pause()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment())

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "alive\n", "")
