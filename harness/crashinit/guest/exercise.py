"""The exercise: use the base as a container engine would, without the driver (clause C08).

A snapshot of the base is made, mounted, written, read back and removed, under names and a thin id of our own.
"""

import ctypes
import errno
import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from . import dm, metadata, probe, process
from .gaps import Gaps, is_ours, reason
from .memory import LIBC

NAME = "crashinit-exercise"
TARGET = Path("/run/crashinit-exercise")
FIRST_ID = 0xFFFFFE  # near the end of the 24-bit thin ids, where no driver is; taken ids are passed over
TRIES = 16
SIZE = 256 * 1024  # bytes written
LIMIT = 20.0  # seconds; it takes less than one
OPTIONS = {"xfs": "nouuid"}  # the snapshot bears its origin's UUID


class _StageError(Exception):
    """A stage did not do what it should."""


class _Stages:
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
        probe.settle()
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
    stages = _Stages(telling)
    try:
        _try(spec, stages)
    except Exception as error:
        result = {"ok": False, "stage": stages.current, "message": reason(error)}
        # An error of a class that the state cannot bring about is the harness's own.
        expected = isinstance(error, OSError | ValueError | _StageError)
        return {**result, "unseen": is_ours(error) or not expected}
    return {"ok": True, "stage": stages.current, "message": ""}


def _all_of(fd: int) -> bytes:
    """What a pipe holds now."""
    found = b""
    with suppress(BlockingIOError):
        while piece := os.read(fd, 1 << 16):
            found += piece
    return found


def _try(spec: probe.Spec, stages: _Stages) -> None:
    pool = metadata.live_pool(spec, probe.dm_devices(Gaps()))
    if pool is None:
        raise _StageError(f"there is no live pool '{spec.pool_name}'")
    if pool["suspended"]:
        raise _StageError(f"the pool '{spec.pool_name}' is suspended")
    spec, known = probe.located(spec, probe.metadata_texts(spec, Gaps()))
    origin, sectors = _base(spec, known)
    written = random.Random(0).randbytes(SIZE)
    with ExitStack() as stack:
        ident = stack.enter_context(_snapshot(spec, origin, stages))
        stages.begin("activate")
        line = dm.Target(0, sectors, "thin", f"{pool['device']} {ident}")
        node = dm.create(NAME, [line])
        stack.callback(dm.remove, NAME)
        stages.begin("mount")
        fstype = metadata.filesystem(node, sectors * metadata.SECTOR)["fstype"]
        if not fstype:
            raise _StageError("the snapshot holds no file system")
        file = TARGET / "crashinit-exercise"
        with _mounted(node, fstype, stages):
            stages.begin("write")
            with file.open("wb") as out:
                out.write(written)
                out.flush()
                os.fsync(out.fileno())
        stages.begin("mount")
        with _mounted(node, fstype, stages):
            stages.begin("read")
            if file.read_bytes() != written:
                raise _StageError("what was read back is not what was written")
        stages.begin("remove")


def _base(spec: probe.Spec, known: metadata.BaseRecord | None) -> tuple[int, int]:
    """The base's thin id and its size in sectors: by its table if it is active, else by the driver's metadata."""
    if dm.info(spec.base_name) is not None:
        lines = dm.table(spec.base_name)
        if len(lines) == 1 and lines[0].type == "thin":
            return int(lines[0].params.split()[1]), lines[0].length
    if known is None:
        raise _StageError("the base is neither active nor recorded")
    return known.id, known.size // metadata.SECTOR


@contextmanager
def _snapshot(spec: probe.Spec, origin: int, stages: _Stages) -> Iterator[int]:
    """A snapshot of the base; its thin id."""
    with dm.suspended(spec.base_name):
        for ident in range(FIRST_ID, FIRST_ID - TRIES, -1):
            try:
                dm.message(spec.pool_name, f"create_snap {ident} {origin}")
                break
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
        else:
            raise _StageError(f"the thin ids from {FIRST_ID - TRIES + 1} to {FIRST_ID} are all taken")
    try:
        yield ident
    finally:
        dm.message(spec.pool_name, f"delete {ident}")


@contextmanager
def _mounted(node: str, fstype: str, stages: _Stages) -> Iterator[None]:
    """The snapshot is mounted inside."""
    TARGET.mkdir(exist_ok=True)
    data = OPTIONS.get(fstype, "").encode() or None
    try:
        _check(LIBC.mount(node.encode(), os.fsencode(TARGET), fstype.encode(), 0, data), "mount")
        try:
            yield
            stages.begin("unmount")
        finally:
            _check(LIBC.umount2(os.fsencode(TARGET), 0), "unmount")
    finally:
        TARGET.rmdir()


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
