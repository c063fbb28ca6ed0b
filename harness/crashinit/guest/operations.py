"""The operations of one gated run as they are recorded: numbered, with the key and the program that asked."""

import errno
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from .decode import Operation, thread_group
from .names import read_text
from .seccomp import Notification


class Operations:
    """What a run came to so far, in its order, each as contract.observation.OperationRecord."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self._seen: Counter[tuple[str, str]] = Counter()
        self._programs: dict[int, tuple[int, str]] = {}

    def add(self, call: Notification, operation: Operation, seconds: float) -> dict[str, Any]:
        """One more operation; `seconds` since the run began."""
        what = (operation.kind, operation.object)
        self._seen[what] += 1
        pid, program = self._program(call)
        record = {
            "n": len(self.all) + 1,
            "key": f"{operation.kind} {operation.object}#{self._seen[what]}",
            "kind": operation.kind,
            "object": operation.object,
            "detail": operation.detail,
            "pid": pid,
            "program": program,
            "seconds": round(seconds, 9),
        }
        self.all.append(record)
        return record

    def _program(self, call: Notification) -> tuple[int, str]:
        """The process id and the name of the program that asks."""
        if call.pid not in self._programs:
            with suppress(OSError):
                pid = thread_group(call.pid)
                self._programs[call.pid] = (pid, read_text(Path(f"/proc/{pid}/comm")))
        found = self._programs.get(call.pid, (call.pid, ""))
        if call.syscall in ("execve", "execveat"):
            self._programs.pop(call.pid, None)
        return found


def error_name(number: int) -> str:
    """The name of an error by its number, such as EIO."""
    return errno.errorcode.get(number, str(number))
