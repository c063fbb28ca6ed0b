"""The use of a base in a thin pool, without the driver, under names and a thin id of our own."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from crashinit.guest import dm, thin
from crashinit.guest import records as core_records
from crashinit.guest.exercise import StageError, Stages, mounted, written_and_read
from crashinit.guest.filesystem import filesystem
from crashinit.guest.gaps import Gaps
from crashinit.guest.probe import Spec, dm_devices
from crashinit.guest.thin import BaseRecord, Where

from .records import located, texts_of

NAME = "crashinit-exercise"
FIRST_ID = 0xFFFFFE  # near the end of the 24-bit thin ids, where no driver is; taken ids are passed over
TRIES = 16


def exercise(spec: Spec, stages: Stages) -> None:
    """A snapshot of the base is made, mounted, written, read back and removed. Raises StageError, OSError."""
    told = core_records.texts(spec.records, Gaps()) if spec.records else texts_of(spec, Gaps())
    where, known = located(spec, told)
    pool = thin.live_pool(where, dm_devices(Gaps()))
    if pool is None:
        raise StageError(f"there is no live pool '{where.pool_name}'")
    if pool["suspended"]:
        raise StageError(f"the pool '{where.pool_name}' is suspended")
    origin, sectors = _base(where, known)
    with ExitStack() as stack:
        ident = stack.enter_context(_snapshot(where, origin, stages))
        stages.begin("activate")
        line = dm.Target(0, sectors, "thin", f"{pool['device']} {ident}")
        node = dm.create(NAME, [line])
        stack.callback(dm.remove, NAME)
        stages.begin("mount")
        fstype = filesystem(node, sectors * thin.SECTOR)["fstype"]
        if not fstype:
            raise StageError("the snapshot holds no file system")
        written_and_read(lambda: mounted(node, fstype, stages), stages)
        stages.begin("remove")


def _base(where: Where, known: BaseRecord | None) -> tuple[int, int]:
    """The base's thin id and its size in sectors: by its table if it is active, else by the driver's metadata."""
    if dm.info(where.base_name) is not None:
        lines = dm.table(where.base_name)
        if len(lines) == 1 and lines[0].type == "thin":
            return int(lines[0].params.split()[1]), lines[0].length
    if known is None:
        raise StageError("the base is neither active nor recorded")
    return known.id, known.size // thin.SECTOR


@contextmanager
def _snapshot(where: Where, origin: int, stages: Stages) -> Iterator[int]:
    """A snapshot of the base; its thin id."""
    with dm.suspended(where.base_name):
        for ident in range(FIRST_ID, FIRST_ID - TRIES, -1):
            try:
                dm.message(where.pool_name, f"create_snap {ident} {origin}")
                break
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
        else:
            raise StageError(f"the thin ids from {FIRST_ID - TRIES + 1} to {FIRST_ID} are all taken")
    try:
        yield ident
    finally:
        dm.message(where.pool_name, f"delete {ident}")
