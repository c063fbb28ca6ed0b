"""Child processes that die with this one, however it ends, and that need not be root because this one is."""

import ctypes
import os
import pwd
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
NOBODY = "nobody"  # a user that every Debian has (base-passwd) and that owns nothing

_libc = ctypes.CDLL(None, use_errno=True)
_spawners: dict[int, ThreadPoolExecutor] = {}


@dataclass(frozen=True)
class User:
    """Whom a child runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()  # beyond `gid`

    def joining(self, device: Path) -> "User":
        """The same user, also in the group of a device if that group, and it is not root's, may open the device."""
        status = device.stat()
        if status.st_gid != 0 and status.st_mode & stat.S_IRWXG & ~stat.S_IXGRP == stat.S_IRGRP | stat.S_IWGRP:
            return User(self.uid, self.gid, (*self.groups, status.st_gid))
        return self

    def may_open(self, path: Path) -> bool:
        """Whether the permission bits of `path` let this user read and write."""
        status = path.stat()
        if status.st_uid == self.uid:
            shift = 6
        elif status.st_gid in (self.gid, *self.groups):
            shift = 3
        else:
            shift = 0
        return status.st_mode >> shift & 0o6 == 0o6


def unprivileged() -> User | None:
    """Who a child is to be that needs no rights, or None: this process has none to give up.

    That is so for a plain user, and in a user namespace that knows no other one (user_namespaces(7)).
    """
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(NOBODY)
    known = _mapped("uid", entry.pw_uid) and _mapped("gid", entry.pw_gid)
    return User(entry.pw_uid, entry.pw_gid) if known else None


def _mapped(kind: str, ident: int) -> bool:
    ranges = [line.split() for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()]
    return any(int(first) <= ident < int(first) + int(count) for first, _, count in ranges)


@contextmanager
def not_interrupted() -> Iterator[None]:
    """Put off SIGINT, SIGTERM and SIGHUP, where this process handles them, until the block has ended."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread alone
        return
    came: list[int] = []
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if callable(signal.getsignal(n))]
    previous = {number: signal.signal(number, lambda which, frame: came.append(which)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    for interrupted in came[:1]:
        signal.raise_signal(interrupted)


def spawn(
    argv: Sequence[str],
    *,
    fds: Sequence[int] = (),
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    user: User | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own; the kernel sends it SIGKILL when this process ends, even by SIGKILL.

    The session keeps a terminal's Ctrl-C from it: its owner closes it in order. `fds` stay open in it under the
    same numbers. PR_SET_PDEATHSIG (prctl(2)) follows the death of the *thread* that made the child, so all
    children are made by one thread that lives as long as the process. With `user`, that is who it runs as.
    Raises FileNotFoundError.
    """
    owner = os.getpid()

    def die_with_owner() -> None:  # called after the change of user, which would take the request back
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
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=user.groups if user else None,
            preexec_fn=die_with_owner,
        )

    if owner not in _spawners:  # a forked process has no threads of its parent's
        _spawners[owner] = ThreadPoolExecutor(1, "crashinit-spawner")
    return _spawners[owner].submit(start).result()
