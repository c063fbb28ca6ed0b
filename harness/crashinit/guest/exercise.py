"""The exercise: use the base as its user would (clause C08). What that is, the family's part knows."""

import ctypes
import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from . import parts, probe, process
from .gaps import is_ours, reason
from .memory import LIBC
from .rest import settle

NAME = "crashinit-exercise"  # of the file
TARGET = Path("/run/crashinit-exercise")
SIZE = 256 * 1024  # bytes written
LIMIT = 20.0  # seconds; it takes less than one
OPTIONS = {"xfs": "nouuid"}  # the snapshot bears its origin's UUID


class StageError(ValueError):
    """A stage did not do what it should."""


class Stages:
    """Remembers the last stage begun, and tells it to whoever waits."""

    def __init__(self, told: int) -> None:
        self._told = told
        self.begin("snapshot")

    def begin(self, name: str) -> None:
        self.current = name
        os.write(self._told, f"{name}\n".encode())


def exercise(spec: probe.Spec, limit: float = LIMIT) -> dict[str, Any]:
    """Try it, and clean up whatever happens; the result as contract.observation.Exercise.

    A child does it: a mount that hangs in the kernel holds up the child alone. What it has not cleaned up then stays,
    so the machine is of no more use; `hung` says so.
    """
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        _in_the_child(spec, telling)
    os.close(telling)
    pidfd = os.pidfd_open(child)
    try:
        in_time = process.wait_readable(pidfd, limit)
        if not in_time:
            os.kill(child, signal.SIGKILL)
        dead = in_time or process.wait_readable(pidfd, process.REAP_LIMIT)
        if dead:
            os.waitpid(child, 0)
        os.set_blocking(told, False)
        lines = _all_of(told).decode().splitlines()
    finally:
        os.close(pidfd)
        os.close(told)
    if lines and lines[-1].startswith("{"):
        settle(probe.SETTLE_LIMIT)
        result: dict[str, Any] = json.loads(lines[-1])
        return result
    how = f"it did not end within {limit:g} s" if dead else "it hangs in the kernel, and SIGKILL does not end it"
    said = f"{how}; the machine is of no more use"
    return {"ok": False, "stage": lines[-1] if lines else "snapshot", "message": said, "hung": True}


def _in_the_child(spec: probe.Spec, telling: int) -> None:
    """Do it and tell the result. Never returns."""
    try:
        os.write(telling, json.dumps(_tried(spec, telling)).encode())
    finally:
        os._exit(0)


def _tried(spec: probe.Spec, telling: int) -> dict[str, Any]:
    stages = Stages(telling)
    try:
        parts.load(spec.part).exercise(spec, stages)
    except Exception as error:
        result = {"ok": False, "stage": stages.current, "message": reason(error)}
        # An error of a class that the state cannot bring about is the harness's own.
        expected = isinstance(error, OSError | ValueError | StageError)
        return {**result, "unseen": is_ours(error) or not expected}
    return {"ok": True, "stage": stages.current, "message": ""}


def _all_of(fd: int) -> bytes:
    """What a pipe holds now."""
    found = b""
    with suppress(BlockingIOError):
        while piece := os.read(fd, 1 << 16):
            found += piece
    return found


def written_and_read(place: Callable[[], AbstractContextManager[Path]], stages: Stages) -> None:
    """Write a file in a directory, and read it back when that has been left and entered again. Raises StageError."""
    content = random.Random(0).randbytes(SIZE)
    with place() as directory:
        stages.begin("write")
        with (directory / NAME).open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    with place() as directory:
        stages.begin("read")
        if (directory / NAME).read_bytes() != content:
            raise StageError("what was read back is not what was written")
        (directory / NAME).unlink()


@contextmanager
def mounted(node: str, fstype: str, stages: Stages) -> Iterator[Path]:
    """A device is mounted at TARGET inside."""
    stages.begin("mount")
    TARGET.mkdir(exist_ok=True)
    data = OPTIONS.get(fstype, "").encode() or None
    try:
        _check(LIBC.mount(node.encode(), os.fsencode(TARGET), fstype.encode(), 0, data), "mount")
        try:
            yield TARGET
            stages.begin("unmount")
        finally:
            _check(LIBC.umount2(os.fsencode(TARGET), 0), "unmount")
    finally:
        TARGET.rmdir()


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
