"""The process below a dask worker that has the machines: `python -m crashinit.cluster.hands FD`.

It is no child by multiprocessing, since dask's workers are daemons, which may have none. It ends with its dask worker,
when it is told to, and when nothing came for a while: then its owner is gone.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection

from crashinit.campaign.planning import Runners
from crashinit.campaign.workers import Done, attempt, ends_with, leave_when_told
from crashinit.cluster.work import DIED, EVIDENCE, REASON, REFUSED, Answer, Unit, packed
from crashinit.errors import CrashinitError
from crashinit.model.trial import Trial

IDLE = 120.0  # seconds without a trial after which it leaves
PATIENCE = 30.0  # seconds that it gets to close its machines


class Hands:
    """The dask worker's end of it."""

    def __init__(self, make: Runners, accel: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self._connection = Connection(ours.detach())
        self._unit = -1
        with suppress(OSError):
            self._connection.send((make, accel, os.getpid()))

    @property
    def alive(self) -> bool:
        """Whether it can be given a trial: it has not left for want of one."""
        return self._process.poll() is None and not self._connection.poll()

    def run(self, trial: Trial, unit: Unit) -> Answer:
        """Run a trial of this unit; what came of it."""
        expected = None if self._unit == unit.number else unit.trials
        self._unit = unit.number
        with suppress(OSError):  # it has ended; what it said last is still to be heard
            self._connection.send((trial, expected))
        try:
            answer: Answer = self._connection.recv()
        except (EOFError, OSError):
            self.end()
            return {DIED: self.fate()}
        return answer

    def end(self) -> None:
        """End it, and its machines."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def fate(self) -> str:
        code = self._process.returncode
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def main(connection: Connection) -> None:
    """Run what comes until nothing does."""
    try:
        make, accel, owner = connection.recv()
    except EOFError:
        return
    if not ends_with(owner):
        return
    leave_when_told()
    try:
        with suppress(EOFError, BrokenPipeError, ConnectionResetError), make() as runner:
            if (here := make.accel()) != accel:
                raise CrashinitError(f"its machines run under '{here}', and those that made the plan under '{accel}'")
            while connection.poll(IDLE):
                trial, expected = connection.recv()
                if expected is not None:
                    runner.expect(expected)
                ended = attempt(runner, trial)
                if isinstance(ended, Done):
                    connection.send({EVIDENCE: packed(ended.evidence), "seconds": ended.seconds})
                else:
                    connection.send({REASON: ended.reason, "details": ended.details})
    except CrashinitError as error:
        with suppress(OSError):
            connection.send({REFUSED: str(error)})


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
