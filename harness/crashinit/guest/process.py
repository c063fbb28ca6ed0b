"""Commands in the machine: run to their end, within a time limit, whatever becomes of their children."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_LIMIT = 1 << 20  # bytes of each stream that are kept
REAP_LIMIT = 5.0  # seconds to wait for a killed process, which may hang in the kernel


class ToolError(Exception):
    """A tool of the harness could not do its work; the state that it was to look at has no part in that."""


@dataclass(frozen=True)
class Ended:
    """How a command ended; a negative `exit` is a signal."""

    argv: list[str]
    exit: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool
    hung: bool = False  # it hangs in the kernel: REAP_LIMIT seconds after SIGKILL it was still there

    @property
    def output(self) -> str:
        """Both streams as text."""
        return (self.stdout + self.stderr).decode("utf-8", "replace")


def environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """What every command gets, the same in each run, with the caller's own on top."""
    return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **(extra or {})}


def anonymous(name: str, content: bytes = b"") -> IO[bytes]:
    """A file without a name. Unlike a pipe it never fills up, and nobody who inherits it can hold us up."""
    file = os.fdopen(os.memfd_create(name), "w+b")
    file.write(content)
    file.seek(0)
    return file


def kept(file: IO[bytes]) -> bytes:
    """The end of what was written to a file, at most OUTPUT_LIMIT bytes."""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), OUTPUT_LIMIT, max(0, size - OUTPUT_LIMIT))


def wait_readable(fd: int, seconds: float) -> bool:
    """Wait for poll(2) to report the descriptor as readable; a pidfd is when its process has ended."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def run(argv: Sequence[str], input: bytes = b"", timeout: float = 60.0, env: Mapping[str, str] | None = None) -> Ended:
    """Run a command; at `timeout` seconds its session is killed. Raises OSError when it cannot be started."""
    begin = time.monotonic()
    with anonymous("stdin", input) as stdin, anonymous("stdout") as stdout, anonymous("stderr") as stderr:
        child = subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment(env),
            cwd="/",
            start_new_session=True,
        )
        timed_out = False
        pidfd = os.pidfd_open(child.pid)
        try:
            if not wait_readable(pidfd, timeout):
                timed_out = True
                os.killpg(child.pid, signal.SIGKILL)
                wait_readable(pidfd, REAP_LIMIT)
        finally:
            os.close(pidfd)
        code = child.poll()
        exit_status = -signal.SIGKILL if code is None else code
        seconds = time.monotonic() - begin
        return Ended(list(argv), exit_status, kept(stdout), kept(stderr), seconds, timed_out, hung=code is None)


def tool(argv: Sequence[str], limit: float, env: Mapping[str, str] | None = None) -> Ended:
    """Run a tool of the harness that looks at the driver's state.

    Raises ToolError when it is not there, cannot be started, does not end within `limit` seconds or is killed, as for
    want of memory; ValueError when it hangs in the kernel, which is the state's doing.
    """
    try:
        ended = run(argv, timeout=limit, env=env)
    except OSError as error:
        raise ToolError(f"'{argv[0]}' could not be run: {error.strerror}") from error
    if ended.hung:
        raise ValueError(f"'{argv[0]}' hangs in the kernel")
    if ended.timed_out:
        raise ToolError(f"'{argv[0]}' did not end within {limit:g} s")
    if ended.exit == -signal.SIGKILL:
        raise ToolError(f"'{argv[0]}' was killed")
    return ended
