"""The exercise: use the base as a container engine would, without the driver (clause C08).

A snapshot of the base is made, mounted, written, read back and removed, under names and a thin id of our own.
"""

import ctypes
import errno
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from . import dm, metadata, probe
from .seccomp import LIBC

NAME = "crashinit-exercise"
TARGET = Path("/run/crashinit-exercise")
FIRST_ID = 0xFFFFFE  # near the end of the 24-bit thin ids, where no driver is; taken ids are passed over
TRIES = 16
SIZE = 256 * 1024  # bytes written
OPTIONS = {"xfs": "nouuid"}  # the snapshot bears its origin's UUID


class _StageError(Exception):
    """A stage did not do what it should."""


class _Stages:
    """Remembers the last stage begun."""

    def __init__(self) -> None:
        self.current = "snapshot"

    def begin(self, name: str) -> None:
        self.current = name


def exercise(spec: probe.Spec) -> dict[str, Any]:
    """Try it, and clean up whatever happens; the result as contract.observation.Exercise."""
    stages = _Stages()
    try:
        _try(spec, stages)
    except (OSError, _StageError) as error:
        message = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return {"ok": False, "stage": stages.current, "message": message}
    finally:
        probe.settle([])
    return {"ok": True, "stage": stages.current, "message": ""}


def _try(spec: probe.Spec, stages: _Stages) -> None:
    pool = metadata.live_pool(spec, probe.dm_devices([]))
    if pool is None:
        raise _StageError(f"there is no live pool '{spec.pool_name}'")
    if pool["suspended"]:
        raise _StageError(f"the pool '{spec.pool_name}' is suspended")
    spec, known = probe.located(spec, probe.metadata_texts(spec, []))
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
