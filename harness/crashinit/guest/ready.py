"""When a daemon is ready: its init is over, but its process does not end.

Nothing that an earlier run left behind counts: a file must be newer than the run, and a socket must have a listener.
"""

import os
import re
import select
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

KINDS = ("log", "file", "socket")
SEARCH_PATIENCE = 100  # milliseconds that one look waits for the answer of a search


class Ready:
    """The condition of one run. `given` has one key: "log" (a regular expression that a line of the output matches),
    "file" (a path that is made or written anew) or "socket" (the path of a Unix socket that takes a connection).
    """

    def __init__(self, given: Mapping[str, str], outputs: Sequence[IO[bytes]]) -> None:
        if len(given) != 1 or next(iter(given)) not in KINDS:
            raise ValueError(f"a run's ready condition has one of the keys {', '.join(map(repr, KINDS))}")
        ((self._kind, self._what),) = given.items()
        self._outputs = outputs
        self._read = [0] * len(outputs)  # bytes of whole lines that have been looked at
        self._pattern = re.compile(self._what.encode()) if self._kind == "log" else None
        self._search: Search | None = None
        self._stale = self._version()

    def met(self) -> bool:
        """Whether it is so now; a look costs a few system calls."""
        if self._pattern is not None:
            return self._line_matches(self._pattern)
        if self._kind == "file":
            return self._version() not in (None, self._stale)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.setblocking(False)
            return peer.connect_ex(self._what) == 0

    def _version(self) -> tuple[int, int] | None:
        """What tells a file from the one that was there before; None: there is none."""
        try:
            status = Path(self._what).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def close(self) -> None:
        """End a search that still goes on."""
        if self._search is not None:
            self._search.close()
            self._search = None

    def _line_matches(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether one of the new lines matches, as far as that is known now."""
        if self._search is None:
            lines = [line for number in range(len(self._outputs)) for line in self._new_lines(number)]
            if not lines:
                return False
            self._search = Search(pattern, lines)
        found = self._search.result()
        if found is None:
            return False
        self._search = None
        return found

    def _new_lines(self, number: int) -> list[bytes]:
        """The whole lines of one output that nobody has looked at."""
        output = self._outputs[number].fileno()
        with open(f"/proc/self/fd/{output}", "rb") as file:  # noqa: PTH123 - a position of its own
            file.seek(self._read[number])
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read[number] += len(whole)
        return whole.splitlines()


class Search:
    """A look for a line that matches, in a process of its own: a pattern that backtracks without end holds up nobody.

    Without this the match would keep Python's lock, and with it the agent, beyond the run's deadline.
    """

    def __init__(self, pattern: re.Pattern[bytes], lines: Sequence[bytes]) -> None:
        self._pid = os.fork()
        if self._pid == 0:
            found = False
            try:
                found = any(pattern.search(line) for line in lines)
            finally:
                os._exit(0 if found else 1)
        self._pidfd = os.pidfd_open(self._pid)

    def result(self) -> bool | None:
        """Whether a line matches; None while that is not known. Known once, it is over."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        if not poll.poll(SEARCH_PATIENCE):
            return None
        os.close(self._pidfd)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1]) == 0

    def close(self) -> None:
        """End it before its result is known."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._pidfd)
