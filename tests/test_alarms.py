"""The load beside a test run is there, and goes away whatever becomes of the run."""

import os
import select
import signal
import subprocess
import sys

from .alarms import busy

LIMIT = 60_000  # milliseconds to wait for a process that must end
# Prints its loops' ids, and waits to be killed.
PARENT = "from tests.alarms import busy\nwith busy(2) as loops:\n print(*(p.pid for p in loops), flush=True)\n input()"


def test_busy_loops_run_as_long_as_they_are_wanted() -> None:
    """All of them live inside, and none afterwards."""
    with busy(2) as loops:
        assert [loop.poll() for loop in loops] == [None, None]

    assert [loop.returncode for loop in loops] == [-signal.SIGKILL] * 2


def test_busy_loops_end_with_their_parent() -> None:
    """A test run that is killed leaves none behind."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        ends = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    try:
        assert len(ends) == 2
        for end in ends:
            poll = select.poll()
            poll.register(end, select.POLLIN)
            assert poll.poll(LIMIT)
    finally:
        for end in ends:
            os.close(end)
