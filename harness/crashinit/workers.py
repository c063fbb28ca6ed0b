"""Worker processes for a campaign: each runs trials with a runner of its own.

A worker may die at any moment (killed by hand, out of memory): its trial is reported as lost, another worker takes
its place, and the campaign goes on. Workers end when their owner ends, and so do their machines.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from crashinit.contract.observation import Evidence
from crashinit.errors import CrashinitError
from crashinit.plan import Trial
from crashinit.trial import TrialRunner

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PATIENCE = 30.0  # seconds that a worker gets to close its machine when the campaign is interrupted: Vagrant needs some

MakeRunner = Callable[[], TrialRunner]
Group = Sequence[Trial]  # trials at one boundary: they share a fork


@dataclass(frozen=True)
class Begun:
    """A worker began a trial."""

    trial: Trial
    worker: int


@dataclass(frozen=True)
class Done:
    """A worker finished a trial."""

    trial: Trial
    evidence: Evidence
    seconds: dict[str, float]


@dataclass(frozen=True)
class Failed:
    """The harness could not finish a trial."""

    trial: Trial
    reason: str


Message = Begun | Done | Failed


def run_groups(groups: Sequence[Group], make_runner: MakeRunner, workers: int) -> Generator[Message]:
    """Run every trial on this many workers; yields what happens as it happens.

    Closing the iterator (also by an exception such as KeyboardInterrupt) ends all workers and their machines.
    """
    waiting = deque(groups)
    crew: dict[Connection, _Worker] = {}
    number = 0
    try:
        while waiting or crew:
            while waiting and len(crew) < workers:
                number += 1
                worker = _Worker(number, make_runner)
                crew[worker.connection] = worker
                worker.give(waiting.popleft())
            for connection in wait(list(crew)):
                assert isinstance(connection, Connection)
                worker = crew[connection]
                try:
                    message = connection.recv()
                except (EOFError, ConnectionResetError):
                    del crew[connection]
                    worker.process.join()
                    if worker.left:
                        lost, *others = worker.left
                        if others:
                            waiting.appendleft(others)
                        yield Failed(lost, f"its worker process died ({worker.fate()})")
                    continue
                if message is None:
                    if waiting:
                        worker.give(waiting.popleft())
                    else:
                        del crew[connection]
                        worker.dismiss()
                    continue
                if not isinstance(message, Begun):
                    worker.left = [trial for trial in worker.left if trial.id != message.trial.id]
                yield message
    finally:
        for worker in crew.values():
            worker.process.terminate()
        for worker in crew.values():
            worker.process.join(PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()  # its machines go with it: they bear a parent-death signal
                worker.process.join()


class _Worker:
    """The owner's end of one worker process."""

    def __init__(self, number: int, make_runner: MakeRunner) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.left: list[Trial] = []
        self.process: BaseProcess = context.Process(
            target=_work,
            args=(theirs, make_runner, number, os.getpid()),
            name=f"crashinit-worker-{number}",
            daemon=True,
        )
        self.process.start()
        theirs.close()

    def give(self, group: Group) -> None:
        self.left = list(group)
        self.connection.send(list(group))

    def dismiss(self) -> None:
        self.connection.send(None)
        self.process.join()
        self.connection.close()

    def fate(self) -> str:
        code = self.process.exitcode
        return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit status {code}"


def _work(connection: Connection, make_runner: MakeRunner, number: int, owner: int) -> None:
    """A worker's life: receive a group, run it, say what happened, until None comes or the owner is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != owner:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the owner decides
    signal.signal(signal.SIGTERM, _leave)
    sys.unraisablehook = _leave_again
    with make_runner() as runner:
        while (group := _next(connection)) is not None:
            for trial in group:
                connection.send(Begun(trial, number))
                connection.send(attempt(runner, trial))
            connection.send(None)


def _next(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return None


def _leave(_signal: int, _frame: object) -> None:
    raise SystemExit(0)


def _leave_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """A signal that came while an object was being deleted has been dropped there: leave at the next chance."""
    if isinstance(unraisable.exc_value, SystemExit):
        signal.raise_signal(signal.SIGTERM)
    else:
        sys.__unraisablehook__(unraisable)


def attempt(runner: TrialRunner, trial: Trial) -> Done | Failed:
    """Run one trial; whatever goes wrong in the harness becomes this trial's failure."""
    try:
        evidence, seconds = runner.run(trial)
    except CrashinitError as error:
        runner.forget()
        return Failed(trial, str(error))
    except Exception as error:  # a defect of the harness: it must end as this trial's error, not as the campaign's
        runner.forget()
        return Failed(trial, f"the harness failed: {type(error).__name__}: {error}")
    return Done(trial, evidence, seconds)
