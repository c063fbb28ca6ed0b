"""The few things asked of the kernel that Python's `os` lacks: ioctl with patience, mounts, guarded children."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import struct
import time

from .errors import DriverError, cause, doing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

BLKGETSIZE64 = 0x80081272  # linux/fs.h
BLKDISCARD = 0x1277
PR_SET_PDEATHSIG = 1  # linux/prctl.h
SIGKILL = 9
SECTOR = 512  # bytes; what device-mapper counts in, whatever the device's own block size

PATIENCE = 5.0  # seconds that a busy object is waited for
CALL_BUDGET = 0.1  # seconds of our own CPU time after which a call is asked, twice, whether it only repeats itself
PAUSE = 0.02  # seconds between two looks


def ioctl(fd: int, request: int, argument: bytearray | int = 0) -> int:
    """ioctl(2), repeated a bounded number of times on EINTR and EAGAIN. Raises OSError."""
    attempts = 20
    while True:
        try:
            result: int = fcntl.ioctl(fd, request, argument)
            return result
        except OSError as error:
            attempts -= 1
            if error.errno not in (errno.EINTR, errno.EAGAIN) or not attempts:
                raise
            time.sleep(PAUSE)


def bounded(call: Callable[..., Result], *arguments: object) -> Result:
    """A system call that Python itself repeats on EINTR without end (PEP 475): here for twice CALL_BUDGET of CPU time.

    Waiting for a slow disk uses none up; and of a call that is long at work in the kernel Python learns once, when it
    is over, however often the timer has gone off. Raises OSError.
    """
    asked = 0

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise OSError(errno.EINTR, os.strerror(errno.EINTR))

    signal.signal(signal.SIGPROF, ask)
    signal.setitimer(signal.ITIMER_PROF, CALL_BUDGET, CALL_BUDGET)
    try:
        return call(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Look again and again until the condition holds; False when it still does not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE)
    return True


def fsync_path(path: str) -> None:
    """fsync(2) a file or directory by name: a directory's entries are only durable after its own fsync."""
    fd = os.open(path, os.O_RDONLY)
    try:
        bounded(os.fsync, fd)
    finally:
        os.close(fd)


def make_directory(path: str, mode: int) -> None:
    """Make a directory and its missing parents durably; one that exists is only made durable."""
    parent = os.path.dirname(path)
    with doing(f"create the directory '{path}'"):
        if not os.path.isdir(path):
            if not os.path.isdir(parent):
                make_directory(parent, 0o755)
            try:
                os.mkdir(path, mode)
            except FileExistsError:  # another run was faster, or something else lies there
                if not os.path.isdir(path):
                    raise
        fsync_path(parent)


def device_number(path: str) -> str:
    """'major:minor' of the block device at `path`. Raises DriverError when it is not one."""
    with doing(f"look at the device '{path}'"):
        found = os.stat(path)
    if not stat.S_ISBLK(found.st_mode):
        raise DriverError(f"'{path}' is not a block device")
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


def device_path(device: str) -> str:
    """The devtmpfs node of the block device 'major:minor'; it is there before udev has heard of the device."""
    with doing(f"find the node of the block device {device}"):
        link = os.readlink(f"/sys/dev/block/{device}")
    return "/dev/" + os.path.basename(link).replace("!", "/")


def open_device(device: str, flags: int) -> int:
    """Open the block device 'major:minor', and make sure that the node really leads to it."""
    path = device_path(device)
    with doing(f"open '{path}'"):
        fd = os.open(path, flags)
    try:
        rdev = os.fstat(fd).st_rdev
        if f"{os.major(rdev)}:{os.minor(rdev)}" != device:
            raise DriverError(f"the node '{path}' does not lead to the block device {device}")
    except BaseException:
        os.close(fd)
        raise
    return fd


def device_size(fd: int) -> int:
    """Size of an open block device in bytes."""
    answer = bytearray(8)
    ioctl(fd, BLKGETSIZE64, answer)
    return int(struct.unpack("Q", answer)[0])


def discard(fd: int) -> None:
    """Discard a whole block device (BLKDISCARD)."""
    ioctl(fd, BLKDISCARD, bytearray(struct.pack("=QQ", 0, device_size(fd))))


def find_program(name: str) -> str:
    """The path of a program, '' when PATH and the system directories have none."""
    for directory in (*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/sbin", "/usr/bin", "/bin"):
        path = os.path.join(directory, name)
        if directory and os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return ""


def run(argv: list[str], lock: int) -> tuple[int, str]:
    """Run a program to its end; returns its exit status (negative: ended by that signal) and what it complained.

    The child dies with us (PR_SET_PDEATHSIG), and until it is dead it keeps `lock`, an fd with a flock(2), so that
    no other run of ours begins beside it.
    """
    import ctypes  # only inits that make a file system pay for it

    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()
    program = find_program(argv[0]) or argv[0]
    with doing(f"make a pipe to '{argv[0]}'"):
        reader, writer = os.pipe()
    with doing(f"start a process for '{argv[0]}'"):
        pid = os.fork()
    if pid == 0:
        try:
            prctl(PR_SET_PDEATHSIG, SIGKILL)
            if os.getppid() == parent:  # else it died before the line above
                os.set_inheritable(lock, True)
                null = os.open("/dev/null", os.O_RDWR)
                os.dup2(null, 0)
                os.dup2(null, 1)
                os.dup2(writer, 2)
                os.execv(program, argv)
        except OSError as error:
            os.write(writer, os.fsencode(f"cannot run '{program}': {cause(error, program)}"))
        finally:
            os._exit(127)
    os.close(writer)
    said = b""
    while chunk := os.read(reader, 65536):
        said += chunk
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode(errors="replace")


def mount(source: str, target: str, fstype: str, options: str) -> None:
    """mount(2). Raises OSError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(source), os.fsencode(target), fstype.encode(), ctypes.c_ulong(0), options.encode()) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def unmount(target: str) -> None:
    """umount2(2); a busy mount is waited for, for a while. Raises OSError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    why = [0]

    def done() -> bool:
        why[0] = 0 if libc.umount2(os.fsencode(target), 0) == 0 else ctypes.get_errno()
        return why[0] != errno.EBUSY

    wait_until(done)
    if why[0]:
        raise OSError(why[0], os.strerror(why[0]))


def mounts_below(directory: str) -> list[str]:
    """Mount points below a directory, innermost first."""
    with open("/proc/self/mounts", "rb") as table:
        points = [os.fsdecode(unescaped(line.split(b" ")[1])) for line in table]
    return [point for point in reversed(points) if point.startswith(directory + "/")]


def unescaped(word: bytes) -> bytes:
    """A word of /proc/self/mounts, in which a blank, a tab, a line feed and a backslash are octal (proc(5))."""
    head, *rest = word.split(b"\\")
    return head + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)
