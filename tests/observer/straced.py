"""What strace saw of an init, told apart into what changes storage and what does not.

The second of two observers. It shares no code and no table with the gate (guest/seccomp.py, guest/decode.py), so that
a mistake in one is not made again in the other. Sources: strace(1), syscalls(2), dm-ioctl.h, loop.h.

A call is in one of the tables below or is refused: what nobody has thought about is never passed over.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

STRACE = ("strace", "-ff", "-ttt", "-yy", "-s", "256", "-o")  # a file a thread, so that no call is torn in two

# Calls that change what a descriptor stands for: the argument that is the descriptor.
BY_DESCRIPTOR = {
    "write": 0, "pwrite64": 0, "writev": 0, "pwritev": 0, "pwritev2": 0, "sendfile": 0, "copy_file_range": 2,
    "splice": 2, "ftruncate": 0, "fallocate": 0, "fsync": 0, "fdatasync": 0, "sync_file_range": 0, "syncfs": 0,
    "fchmod": 0, "fchown": 0, "fsetxattr": 0, "fremovexattr": 0,
}  # fmt: skip
# Calls that change what a path names: the argument that is the directory's descriptor, if one is, and the path's.
# Of two paths it is the one that comes to be.
BY_PATH: dict[str, tuple[int | None, int]] = {
    "truncate": (None, 0), "creat": (None, 0), "mknod": (None, 0), "mkdir": (None, 0), "rmdir": (None, 0),
    "unlink": (None, 0), "link": (None, 1), "symlink": (None, 1), "rename": (None, 1), "mknodat": (0, 1),
    "mkdirat": (0, 1), "unlinkat": (0, 1), "linkat": (2, 3), "symlinkat": (1, 2), "renameat": (2, 3),
    "renameat2": (2, 3), "chmod": (None, 0), "fchmodat": (0, 1), "fchmodat2": (0, 1), "chown": (None, 0),
    "lchown": (None, 0), "fchownat": (0, 1), "setxattr": (None, 0), "lsetxattr": (None, 0), "removexattr": (None, 0),
    "lremovexattr": (None, 0), "utime": (None, 0), "utimes": (None, 0), "futimesat": (0, 1), "utimensat": (0, 1),
}  # fmt: skip
OPENS: dict[str, tuple[int | None, int, int]] = {"open": (None, 0, 1), "openat": (0, 1, 2), "openat2": (0, 1, 2)}
# Calls that count wherever they are aimed: mounts, and the start of a program.
ANYWHERE: dict[str, tuple[int | None, int]] = {
    "mount": (None, 1), "umount2": (None, 0), "move_mount": (2, 3), "mount_setattr": (0, 1), "pivot_root": (None, 1),
    "execve": (None, 0), "execveat": (0, 1),
}  # fmt: skip
SEMAPHORES = frozenset(("semget", "semop", "semctl", "semtimedop"))
# What a call on semaphores says if it makes one, removes it, or gives it a value.
SEMAPHORE_CHANGES = re.compile(r"\bIPC_CREAT\b|\bIPC_RMID\b|\bSETVAL\b|\bSETALL\b|\bIPC_SET\b|\bsem_op=-?[1-9]")
# Calls that count and are aimed at nothing that has a name.
NAMELESS = frozenset((
    "sync", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "swapon", "swapoff", "quotactl", "init_module",
    "finit_module", "delete_module", "msync",
))  # fmt: skip
FORKS = frozenset(("clone", "clone3", "fork", "vfork"))
# Calls that change no storage: memory, time, signals, sockets, scheduling, rights, and what only reads.
HARMLESS = frozenset((
    "accept", "accept4", "access", "add_key", "alarm", "arch_prctl", "bind", "bpf", "brk", "capget", "capset",
    "chroot", "clock_getres", "clock_gettime", "clock_nanosleep", "close", "close_range", "connect", "dup", "dup2",
    "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "exit",
    "faccessat", "faccessat2", "fadvise64", "fcntl", "fgetxattr", "flock", "fstat", "fstatfs", "futex", "getcwd",
    "getdents", "getdents64", "getegid", "geteuid", "getgid", "getgroups", "getitimer", "getpeername", "getpgid",
    "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage",
    "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getxattr", "inotify_add_watch",
    "inotify_init1", "inotify_rm_watch", "io_destroy", "io_getevents", "io_setup", "ioprio_get", "ioprio_set",
    "kcmp", "keyctl", "kill", "lgetxattr", "listen", "listxattr", "llistxattr", "lseek", "lstat", "madvise",
    "membarrier", "memfd_create", "mincore", "mlock", "mmap", "mprotect", "mremap", "munmap", "nanosleep",
    "newfstatat", "pause", "personality", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "poll", "ppoll",
    "prctl", "pread64", "preadv", "preadv2", "prlimit64", "pselect6", "read", "readahead", "readlink", "readlinkat",
    "readv", "recvfrom", "recvmmsg", "recvmsg", "request_key", "restart_syscall", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
    "sched_setaffinity", "sched_yield", "seccomp", "select", "sendmmsg", "sendmsg", "sendto", "set_robust_list",
    "set_tid_address", "setgid", "setgroups", "setitimer", "setns", "setpgid", "setpriority", "setresgid",
    "setresuid", "setrlimit", "setsid", "setsockopt", "setuid", "shutdown", "sigaltstack", "signalfd4", "socket",
    "socketpair", "stat", "statfs", "statx", "sysinfo", "tee", "tgkill", "timer_create", "timer_delete",
    "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime", "times", "tkill", "umask", "uname",
    "unshare", "vmsplice", "wait4", "waitid",
))  # fmt: skip
# Requests that only ask. Any other on a device or a file of the driver changes something.
ASKS = re.compile(
    r"DM_VERSION|DM_LIST_\w+|DM_DEV_STATUS|DM_TABLE_(STATUS|DEPS)|DM_GET_TARGET_VERSION|DM_DEV_ARM_POLL"
    r"|LOOP_GET_\w+|BLK(GET|ROGET|SSZGET|BSZGET|PBSZGET|IOMIN|IOOPT|ALIGNOFF|ROTATIONAL|DISCARDZEROES|RAGET|SECTGET)\w*"
    r"|TC\w+|TIO\w+|FIO(NCLEX|CLEX|NREAD|NBIO|QSIZE)|FDGET\w+|CDROM_\w+|HDIO_GET\w*|FS_IOC_(GET\w+|FIEMAP|FSGETXATTR)|FIBMAP"
)
# The descriptors that io_submit(2) is to write to or to flush.
SUBMITTED = re.compile(r"aio_lio_opcode=IOCB_CMD_(?:PWRITEV?|FD?SYNC), aio_fildes=(\d+<[^,]*>)")
CREATES = re.compile(r"\b(O_CREAT|O_TRUNC|O_TMPFILE|__O_TMPFILE)\b")
LINE = re.compile(r"(\d+\.\d+) (\w+)\((.*)\)\s+= (.+)", re.DOTALL)
DIED = re.compile(r"(\d+\.\d+) (\w+)\((.*) <unfinished \.\.\.>\)?(\s+= \?)?", re.DOTALL)
ASIDE = re.compile(r"\d+\.\d+ (---|\+\+\+) ")  # signals, and the end of a thread
OPENED = re.compile(r"^-?\w+<(.*)>(\(deleted\))?$", re.DOTALL)
NODE = re.compile(r"<(block|char) \d+:\d+>$")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
PATH = re.compile(r"(?<=\w)<(?!<)(?:[^<>]|(?<=-)>|<[^<>]*>)*>")  # behind a descriptor; of a socket it may be 'a->b'
# What differs from run to run in a name: the root's place in a device's name, and random parts.
VARIES = ((re.compile(r"^([a-z]+)-\d+:\d+-\d+-"), r"\1-*-"), (re.compile(r"[0-9a-f]{32,}|\d{6,}"), "*"),
          (re.compile(r"/\.tmp[^/]*"), "/.tmp*"))  # fmt: skip
COMM = 15  # characters that the kernel keeps of a program's name


class StraceError(ValueError):
    """A line that cannot be read, or a call that no table knows."""


@dataclass(frozen=True, order=True)
class Change:
    """One call that changes storage, as both observers can name it."""

    program: str
    call: str  # the system call, or "ioctl" and its request
    thing: str  # the path or the name that it is aimed at

    def __str__(self) -> str:
        return f"{self.program}: {self.call} {self.thing}".rstrip()


@dataclass(frozen=True)
class Seen:
    """What the second observer saw: the calls that took effect, and all that were made."""

    done: Counter[Change]
    made: Counter[Change]


def steady(name: str) -> str:
    """A path or a name without what differs from run to run."""
    for pattern, instead in VARIES:
        name = pattern.sub(instead, name)
    return name


@dataclass(frozen=True)
class _Call:
    time: float
    thread: int
    name: str
    arguments: tuple[str, ...]
    result: str

    @property
    def succeeded(self) -> bool:
        return not self.result.startswith(("-1", "?"))

    @property
    def took_effect(self) -> bool:
        if self.name in SEMAPHORES and not SEMAPHORE_CHANGES.search(" ".join(self.arguments)):
            return False  # it asks, or waits
        return self.succeeded or self.name == "exit_group"


@dataclass
class _Process:
    """What a thread shares with the other threads of its process."""

    ident: int
    program: str
    cwd: str = "/"
    root: str = ""  # of a process that called chroot(2)


@dataclass
class Reader:
    """Reads the files of one run. `links`: the machine's links of directories, as '/bin' -> '/usr/bin';
    `existing`: the paths below the root before the run."""

    root: str
    links: Mapping[str, str] = field(default_factory=dict)
    existing: set[str] = field(default_factory=set)

    def read(self, files: Mapping[int, str], until: float = float("inf")) -> Seen:
        """What the threads' files say, by thread id, up to a moment. Raises StraceError."""
        calls = sorted(
            (call for thread, text in files.items() for call in _calls(thread, text) if call.time <= until),
            key=lambda call: call.time,
        )
        done, made = Counter[Change](), Counter[Change]()
        self._begun = self._ended = False
        main = calls[0].thread
        self._processes = {main: _Process(main, "strace")}
        self._main = main
        for call in calls:
            for change in self._changes(call):
                made[change] += 1
                done[change] += call.took_effect
        return Seen(+done, made)

    def _changes(self, call: _Call) -> Iterator[Change]:
        process = self._processes.get(call.thread)
        if process is None:
            raise StraceError(f"thread {call.thread} came from nowhere")
        named = self._named(call, process)
        if named is not None:
            yield Change(process.program[:COMM], named[0], steady(named[1]))
        self._follow(call, process)

    def _follow(self, call: _Call, process: _Process) -> None:
        """Keep in mind what later calls depend on."""
        if not call.succeeded:
            return
        if call.name in FORKS:
            child = int(call.result.split()[0])
            shares = any("CLONE_THREAD" in argument for argument in call.arguments)
            self._processes[child] = process if shares else replace(process, ident=child)
        elif call.name in ("execve", "execveat"):
            path = self._path(process, call, *ANYWHERE[call.name])
            process.program = PurePosixPath(path).name
        elif call.name == "chroot":
            process.root = self._path(process, call, None, 0)
        elif call.name == "chdir":
            process.cwd = self._path(process, call, None, 0)
        elif call.name == "fchdir":
            process.cwd = _opened(call.arguments[0])[0]
        elif call.name in ("rename", "renameat", "renameat2"):
            at, old = (None, 0) if call.name == "rename" else (0, 1)
            self.existing.discard(self._path(process, call, at, old))
            self.existing.add(self._path(process, call, *BY_PATH[call.name]))
        elif call.name in ("unlink", "unlinkat", "rmdir"):
            self.existing.discard(self._path(process, call, *BY_PATH[call.name]))
        elif call.name in OPENS and "O_CREAT" in call.arguments[OPENS[call.name][2]]:
            self.existing.add(self._path(process, call, *OPENS[call.name][:2]))
        elif call.name in BY_PATH:
            self.existing.add(self._path(process, call, *BY_PATH[call.name]))

    def _named(self, call: _Call, process: _Process) -> tuple[str, str] | None:
        """The call and what it is aimed at; None if it changes nothing that concerns the driver."""
        name = call.name
        if name in HARMLESS or name in FORKS or name in ("chdir", "fchdir"):
            return None
        if name == "exit_group":
            if process.ident != self._main or self._ended:
                return None
            self._ended = True  # a process ends once, whichever of its threads ask for that
            return name, ""
        if name in NAMELESS or name in SEMAPHORES:
            return name, ""
        if name == "io_submit":
            paths = [
                path for path, kind in map(_opened, SUBMITTED.findall(call.arguments[2])) if self._counts(path, kind)
            ]
            return (name, paths[0]) if paths else None
        if name == "ioctl":
            return self._ioctl(call)
        if name in BY_DESCRIPTOR:
            path, kind = _opened(call.arguments[BY_DESCRIPTOR[name]])
            return (name, path) if self._counts(path, kind) else None
        if name in ANYWHERE:
            if name.startswith("exec") and not self._begun:
                self._begun = True  # the command's own start
                return None
            return name, self._path(process, call, *ANYWHERE[name])
        if name in OPENS:
            return self._open(call, process)
        if name not in BY_PATH:
            raise StraceError(f"'{name}' is in no table: does it change storage?")
        path = self._path(process, call, *BY_PATH[name])
        other = path
        if name in ("rename", "renameat", "renameat2"):
            other = self._path(process, call, None if name == "rename" else 0, 0 if name == "rename" else 1)
        return (name, path) if self.concerns(path) or self.concerns(other) else None

    def _open(self, call: _Call, process: _Process) -> tuple[str, str] | None:
        at, index, flags = OPENS[call.name]
        wanted = set(CREATES.findall(call.arguments[flags]))
        path = self._path(process, call, at, index)
        if not wanted or path.startswith("/dev/") or not self.concerns(path):
            return None
        if path in self.existing and wanted == {"O_CREAT"}:
            return None  # it is there already, and stays as it is
        return call.name, path

    def _ioctl(self, call: _Call) -> tuple[str, str] | None:
        path, kind = _opened(call.arguments[0])
        request = call.arguments[1]
        if ASKS.fullmatch(request) or not (kind == "block" or self.concerns(path)):
            return None
        if path == "/dev/mapper/control":
            names = re.findall(r'\bname="([^"]*)"', " ".join(call.arguments[2:]))
            return f"ioctl {request}", next(filter(None, names), "")
        return f"ioctl {request}", path

    def _counts(self, path: str, kind: str) -> bool:
        """Whether what is open there is a block device or the driver's."""
        return kind == "block" or (kind == "" and self.concerns(path))

    def concerns(self, path: str) -> bool:
        """Whether a path is the driver's: in its root, above it, or a node of device-mapper or a loop device."""
        inside = path == self.root or path.startswith(f"{self.root}/")
        above = path != "/" and self.root.startswith(f"{path}/")
        return inside or above or path.startswith(("/dev/mapper/", "/dev/dm-", "/dev/loop"))

    def _path(self, process: _Process, call: _Call, at: int | None, index: int) -> str:
        """The absolute path that an argument names, with the machine's links of directories followed."""
        found = TEXT.match(call.arguments[index])
        named = _unescaped(found[1]) if found else ""
        start = process.cwd if at is None else _opened(call.arguments[at])[0]
        start = process.root if named.startswith("/") else start
        parts: list[str] = []
        for part in f"{start}/{named}".split("/"):
            if part == "..":
                parts = parts[:-1]
            elif part not in ("", "."):
                parts.append(part)
                link = self.links.get("/" + "/".join(parts))
                parts = link.strip("/").split("/") if link else parts
        return "/" + "/".join(parts)


def moment(files: Mapping[int, str], line: re.Pattern[str]) -> float:
    """When a line like this was written: a daemon's word that it is ready. Raises StraceError if it never was."""
    times = [
        call.time
        for thread, text in files.items()
        for call in _calls(thread, text)
        if call.name == "write" and any(map(line.search, _unescaped(call.arguments[1].strip('"')).splitlines()))
    ]
    if not times:
        raise StraceError(f"no line like '{line.pattern}' was written")
    return min(times)


def _calls(thread: int, text: str) -> Iterator[_Call]:
    lines = text.splitlines(keepends=True)
    for line in (line.rstrip("\n") for line in lines if line.endswith("\n")):  # the last may still be on its way
        if ASIDE.match(line):
            continue
        if found := LINE.fullmatch(line):
            time, name, arguments, result = found.groups()
        elif found := DIED.fullmatch(line):  # the thread was ended in it
            time, name, arguments, result = found[1], found[2], found[3], "?"
        else:
            raise StraceError(f"'{line}' is no line of strace's")
        yield _Call(float(time), thread, name, tuple(_split(arguments)), result)


def _split(arguments: str) -> Iterable[str]:
    """A call's arguments: at the commas that stand in no string, brackets, braces, or path of a descriptor."""
    depth, begin, at = 0, 0, 0
    while at < len(arguments):
        character = arguments[at]
        whole = {'"': TEXT, "<": PATH}.get(character)
        if whole and (found := whole.match(arguments, at)):
            at = found.end()
            continue
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            yield arguments[begin:at].strip()
            begin = at + 1
        at += 1
    yield arguments[begin:].strip()


def _opened(argument: str) -> tuple[str, str]:
    """A descriptor's path, and what it is: "block", "char", "other" for what has no path, "" for files."""
    found = OPENED.match(argument)
    if not found:
        return "", "other"
    path = found[1]
    if node := NODE.search(path):
        return path[: node.start()], node[1]
    return _unescaped(path), "" if path.startswith("/") and not path.startswith("/memfd:") else "other"


def _unescaped(text: str) -> str:
    """A string as strace quotes it: with C's escapes."""
    return re.sub(
        r"\\(x[0-9a-f]{2}|[0-7]{1,3}|.)",
        lambda m: (
            {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}.get(m[1])
            or (chr(int(m[1][1:], 16)) if m[1][0] == "x" else chr(int(m[1], 8)) if m[1].isdigit() else m[1])
        ),
        text,
    )
