"""The kernel's messages since a mark (/dev/kmsg; Documentation/ABI/testing/dev-kmsg)."""

import errno
import os
from contextlib import suppress
from pathlib import Path

# Documentation/admin-guide/sysctl/kernel.rst: a task that hangs in the kernel is reported after that many seconds,
# not after two minutes, when every deadline is over.
HUNG_TASKS = {"hung_task_timeout_secs": 10, "hung_task_check_interval_secs": 5}
SYSCTL = Path("/proc/sys/kernel")


class KernelLog:
    """Reads on from the mark; what was read is kept, so that each probe of a trial sees all of it."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._lines: list[str] = []
        self.mark()

    def report_hung_tasks(self) -> None:
        """Have the kernel say in time who hangs in it; one without the detector stays as it is."""
        for name, seconds in HUNG_TASKS.items():
            with suppress(OSError):
                (SYSCTL / name).write_text(str(seconds))

    def mark(self) -> None:
        """Begin here."""
        os.lseek(self._fd, 0, os.SEEK_END)
        self._lines.clear()

    def lines(self) -> tuple[list[str], bool]:
        """The kernel's own messages since the mark, and whether none of them was overwritten before it was read."""
        complete = True
        while True:
            try:
                record = os.read(self._fd, 8192).decode("utf-8", "replace")
            except BlockingIOError:
                return list(self._lines), complete
            except OSError as error:
                if error.errno != errno.EPIPE:
                    raise
                complete = False
                continue
            head, _, message = record.partition(";")
            if int(head.split(",", 1)[0]) >> 3 == 0:  # facility 0: the kernel, not a program that writes there
                self._lines.append(message.split("\n", 1)[0])
