"""The start of a gated command: a process in a control group of its own, under the filter from its first step on."""

import ctypes
import functools
import os
import resource
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import bpf, calls, seccomp
from .memory import LIBC
from .process import anonymous, kept
from .requests import CHANGING

CLONE_NEWIPC = 0x08000000  # <sched.h>
LIMITS = {"nofile": resource.RLIMIT_NOFILE, "fsize": resource.RLIMIT_FSIZE}


class Output:
    """What a command writes on its standard output and error; still there when its files are closed."""

    def __init__(self) -> None:
        self.files = (anonymous("stdout"), anonymous("stderr"))
        self._kept: tuple[str, str] | None = None

    def texts(self) -> tuple[str, str]:
        """The ends of both streams so far."""
        if self._kept is not None:
            return self._kept
        stdout, stderr = (kept(file).decode("utf-8", "replace") for file in self.files)
        return stdout, stderr

    def close(self) -> None:
        self._kept = self.texts()
        for file in self.files:
            file.close()


@functools.cache
def filter_code(*, reads: bool, requests: int = 0) -> bytes:
    """The filter's program; with `reads` it stops what only asks as well. `requests`: how many of ioctl are known."""
    return bpf.program(calls.stopped(reads=reads))


def launch(
    program: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    cgroup: Path,
    output: Output,
    *,
    reads: bool = False,
    limits: Mapping[str, int] | None = None,
) -> tuple[int, int, socket.socket]:
    """Start a command; (process id, the filter's listener, a socket that ends when the command has begun, or brings a
    sentence when it could not). The command's own exec waits at the filter. Raises OSError with that sentence when
    there can be no filter. `limits`: what it has to live with: "nofile", "fsize", "nproc", "own-ipc".
    """
    code = filter_code(reads=reads, requests=len(CHANGING))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        _become(program, argv, env, cgroup, output, code, theirs, limits or {})
    theirs.close()
    word, fds, _, _ = socket.recv_fds(ours, 4096, 1)
    if not fds:
        ours.close()
        os.waitpid(pid, 0)
        raise OSError(word.decode() or "it died")
    return pid, fds[0], ours


def _become(
    program: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    cgroup: Path,
    output: Output,
    code: bytes,
    line: socket.socket,
    limits: Mapping[str, int],
) -> None:
    """In the child: become the command. Never returns."""
    try:
        os.setsid()
        (cgroup / "cgroup.procs").write_text("0")
        null = os.open("/dev/null", os.O_RDONLY)
        for number, fd in enumerate((null, *(file.fileno() for file in output.files))):
            os.dup2(fd, number)
        os.chdir("/")
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python itself; a command begins without
            signal.signal(ignored, signal.SIG_DFL)
        if limits.get("own-ipc") and LIBC.unshare(CLONE_NEWIPC):
            raise OSError(ctypes.get_errno(), "unshare")
        fd = seccomp.install(code)
        socket.send_fds(line, [b"."], [fd])
        for name, number in LIMITS.items():  # last: nothing of ours is held back by them
            if name in limits:
                resource.setrlimit(number, (limits[name], limits[name]))
        os.execve(program, list(argv), dict(env))
    except BaseException as error:
        line.send(str(error).encode())
    os.kill(os.getpid(), signal.SIGKILL)
