"""When a daemon is ready: its init is over, but its process does not end.

Nothing that an earlier run left behind counts: a file must be newer than the run, and a socket must have a listener.
"""

import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

KINDS = ("log", "file", "socket")


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
        self._stale = self._version()

    def met(self) -> bool:
        """Whether it is so now; a look costs a few system calls."""
        if self._pattern is not None:
            return any(self._line_matches(number, self._pattern) for number in range(len(self._outputs)))
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

    def _line_matches(self, number: int, pattern: re.Pattern[bytes]) -> bool:
        output = self._outputs[number].fileno()
        with open(f"/proc/self/fd/{output}", "rb") as file:  # noqa: PTH123 - a position of its own
            file.seek(self._read[number])
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read[number] += len(whole)
        return any(pattern.search(line) for line in whole.splitlines())
