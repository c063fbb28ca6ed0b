"""Child processes that die with this one, however it ends."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_libc = ctypes.CDLL(None, use_errno=True)
_spawners: dict[int, ThreadPoolExecutor] = {}


def spawn(
    argv: Sequence[str],
    *,
    fds: Sequence[int] = (),
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own; the kernel sends it SIGKILL when this process ends, even by SIGKILL.

    The session keeps a terminal's Ctrl-C from it: its owner closes it in order. `fds` stay open in it under the
    same numbers. PR_SET_PDEATHSIG (prctl(2)) follows the death of the *thread* that made the child, so all
    children are made by one thread that lives as long as the process. Raises FileNotFoundError.
    """
    owner = os.getpid()

    def die_with_owner() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != owner:  # it died before the request was in force
            os._exit(127)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=fds,
            env=env,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=die_with_owner,
        )

    if owner not in _spawners:  # a forked process has no threads of its parent's
        _spawners[owner] = ThreadPoolExecutor(1, "crashinit-spawner")
    return _spawners[owner].submit(start).result()
