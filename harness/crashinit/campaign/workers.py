"""Worker processes for a campaign: each runs trials with a runner of its own.

A worker may die at any moment (killed by hand, out of memory): its trial is reported as lost, another worker takes
its place, and the campaign goes on. Workers end when their owner ends, and so do their machines.
"""

import ctypes
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from crashinit.errors import CrashinitError
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.trial.runner import TrialRunner

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PATIENCE = 30.0  # seconds that workers get to close their machines at the end: Vagrant needs some
AGAIN = 0.01  # seconds until a worker tries once more to leave

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
    details: str = ""  # what is known of a defect of the harness: its traceback


@dataclass(frozen=True)
class Told:
    """Something of the workers that people may want to know."""

    text: str


Message = Begun | Done | Failed


class Engine(Protocol):
    """Workers that are no processes of this host's own."""

    def run(self, groups: Sequence[Group], make_runner: MakeRunner) -> Generator[Message | Told]:
        """As run_groups, which it stands for."""


def run_groups(groups: Sequence[Group], make_runner: MakeRunner, workers: int) -> Generator[Message]:
    """Run every trial on this many workers; yields what happens as it happens.

    A worker that dies costs the trial that it had in hand, if it had one, whatever it was doing: running it, sending
    what came of it, or waiting for the next. Closing the iterator (also by an exception such as KeyboardInterrupt)
    ends all workers and their machines.
    """
    waiting = deque(groups)
    crew: dict[Connection, _Worker] = {}
    leaving: list[_Worker] = []
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
                message = worker.heard()
                if message is DEAD:
                    del crew[connection]
                    lost, left = worker.bury()
                    if left:
                        waiting.appendleft(left)
                    if lost:
                        yield Failed(lost, f"its worker process died ({worker.fate()})")
                elif message is not None:
                    yield message
                elif waiting:
                    worker.give(waiting.popleft())
                else:
                    del crew[connection]
                    worker.dismiss()
                    leaving.append(worker)
    except BaseException:
        for worker in (*crew.values(), *leaving):
            worker.process.terminate()
        raise
    finally:
        deadline = time.monotonic() + PATIENCE
        for worker in (*crew.values(), *leaving):
            worker.end(deadline)


DEAD = object()  # what is heard of a worker that died


class _Worker:
    """The owner's end of one worker process."""

    def __init__(self, number: int, make_runner: MakeRunner) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.left: list[Trial] = []  # of the group that it has in hand, those that have not ended
        self.busy = True  # whether the next death costs a trial: it is new, or has begun one
        self.process: BaseProcess = context.Process(
            target=_work,
            args=(theirs, make_runner, number, os.getpid()),
            name=f"crashinit-worker-{number}",
            daemon=True,
        )
        self.process.start()
        theirs.close()

    def give(self, group: Group) -> None:
        """Hand over a group. Of a worker that is dead by now, the next that is heard is its death."""
        self.left = list(group)
        with suppress(OSError):
            self.connection.send(self.left)

    def heard(self) -> Any:
        """Its next message; None: it waits for a group; DEAD: it died, perhaps in the middle of a message."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            return DEAD
        if message is None:
            self.busy = False
        elif isinstance(message, Begun):
            self.busy = True
        else:
            self.left = [trial for trial in self.left if trial.id != message.trial.id]
        return message

    def bury(self) -> tuple[Trial | None, list[Trial]]:
        """The trial that its death costs, and those of its group that another worker can run."""
        self.end(time.monotonic() + PATIENCE)
        if self.busy and self.left:
            return self.left[0], self.left[1:]
        return None, self.left

    def dismiss(self) -> None:
        """Tell it that there is nothing more to do."""
        with suppress(OSError):
            self.connection.send(None)

    def end(self, deadline: float) -> None:
        """Wait until it has ended, up to that time, and then kill it; its machines go with it."""
        self.process.join(max(0.0, deadline - time.monotonic()))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()

    def fate(self) -> str:
        code = self.process.exitcode
        return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit status {code}"


def _work(connection: Connection, make_runner: MakeRunner, number: int, owner: int) -> None:
    """A worker's life: receive a group, run it, say what happened, until None comes or the owner is gone."""
    if not ends_with(owner):
        return
    leave_when_told()
    with suppress(BrokenPipeError, ConnectionResetError), make_runner() as runner:  # the owner is gone: so are we
        while (group := _next(connection)) is not None:
            runner.expect(group)
            for trial in group:
                connection.send(Begun(trial, number))
                connection.send(attempt(runner, trial))
            connection.send(None)


def ends_with(owner: int) -> bool:
    """Have this process be told to end when its parent `owner` ends; False: it has ended already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    return os.getppid() == owner


def _next(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


def leave_when_told() -> None:
    """SIGTERM ends this process, and closes what it has open; what reaches the whole terminal is for the owner."""
    for which in (signal.SIGINT, signal.SIGHUP):  # they reach the whole terminal; the owner decides
        signal.signal(which, signal.SIG_IGN)
    for which in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(which, _leave)
    sys.unraisablehook = _leave_again


def _leave(_signal: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what is being closed is closed to the end
    logging.disable()  # asyncio would tell of each connection's task that this ends
    raise SystemExit(0)


def _leave_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """A signal that came while an object was being deleted has been dropped there: leave a moment later."""
    if isinstance(unraisable.exc_value, SystemExit):
        signal.setitimer(signal.ITIMER_REAL, AGAIN)
    else:
        sys.__unraisablehook__(unraisable)


def attempt(runner: TrialRunner, trial: Trial) -> Done | Failed:
    """Run one trial; whatever goes wrong in the harness becomes this trial's failure."""
    try:
        evidence, seconds = runner.run(trial)
    except CrashinitError as error:
        _forget(runner)
        return Failed(trial, str(error), error.details)
    except Exception as error:  # a defect of the harness: it must end as this trial's error, not as the campaign's
        _forget(runner)
        return Failed(trial, f"the harness failed: {type(error).__name__}: {error}", traceback.format_exc())
    return Done(trial, evidence, seconds)


def _forget(runner: TrialRunner) -> None:
    with suppress(Exception):  # a machine that is out of order may not even close; its end is the process's
        runner.forget()
