"""The thin pool: made, recognised, asked and told (Documentation/admin-guide/device-mapper/thin-provisioning.rst)."""

from __future__ import annotations

import errno
import os

from . import dm, kernel
from .errors import DriverError, doing
from .thinmeta import BLOCK, Thin, ThinMetadata

LOW_WATER = 32768  # blocks; dockerd's figure
FEATURES = "1 skip_block_zeroing"
READ_ONLY = "2 skip_block_zeroing read_only"
CHECK = ("thin_check", "-q", "--clear-needs-check-flag")  # thin_check(8)


class Pool:
    """A live thin pool."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.device = dm.existing(name).device
        target = dm.table(name)
        if len(target) != 1 or target[0].kind != "thin-pool":
            kinds = ", ".join(t.kind for t in target) or "none"
            raise DriverError(f"the device '{name}' is not a thin pool (its target: {kinds})")
        self.table = target[0]
        self.metadata, self.data, block_size = self.table.text.split()[:3]
        self.block_size = int(block_size)  # sectors

    def status(self) -> PoolStatus:
        """The pool's own account of itself, after a commit. Raises DriverError when the pool has failed."""
        lines = dm.status(self.name)
        text = lines[0].text if lines else ""
        if not text[:1].isdigit():
            raise DriverError(f"the thin pool '{self.name}' has failed (status '{text}'): look at the kernel log")
        return PoolStatus(text)

    @property
    def reads_only(self) -> bool:
        """Whether it was made so that it takes no changes: an init was killed before it let it."""
        return "read_only" in self.table.text.split()

    def allow_writes(self) -> None:
        """Let a pool that reads only take changes. Its metadata is open, and is not opened again."""
        text = f"{self.metadata} {self.data} {self.block_size} {LOW_WATER} {FEATURES}"
        dm.load(self.name, self.table.length, "thin-pool", text)
        dm.resume(self.name)
        self.table = dm.table(self.name)[0]

    def check_writable(self) -> None:
        """Raise DriverError when the pool no longer takes changes to its metadata."""
        status = self.status()
        if status.needs_check or status.mode == "ro":
            raise DriverError(
                f"the thin pool '{self.name}' is read-only or needs a check: shut it down and start it again, and "
                f"'{CHECK[0]}' looks at its metadata; run thin_repair if that fails"
            )

    def thins(self) -> dict[int, Thin]:
        """Every thin device that the pool's metadata holds."""
        self.status()  # commits, so that what is read is current
        metadata = ThinMetadata(kernel.device_path(self.metadata), direct=True)
        try:
            return metadata.thins()
        finally:
            metadata.close()

    def create_thin(self, id: int) -> bool:
        """Make a blank thin device; False when the id is taken."""
        return self._create(f"create_thin {id}", f"create the thin device {id}")

    def create_snap(self, id: int, origin: int) -> bool:
        """Make a snapshot of a thin device that is not active or is suspended; False when the id is taken."""
        return self._create(f"create_snap {id} {origin}", f"create the thin device {id} as a snapshot of {origin}")

    def _create(self, text: str, what: str) -> bool:
        with doing(f"{what} in the pool '{self.name}'"):
            try:
                dm.message(self.name, text)
            except OSError as error:
                if error.errno == errno.EEXIST:
                    return False
                raise
        return True

    def delete(self, id: int) -> None:
        """Delete a thin device; one that is gone already is fine."""
        with doing(f"delete the thin device {id} in the pool '{self.name}'"):
            try:
                dm.message(self.name, f"delete {id}")
            except OSError as error:
                if error.errno != errno.ENODATA:
                    raise

    def set_transaction(self, old: int, new: int) -> None:
        """Move the pool's transaction id."""
        with doing(f"set the transaction id of the pool '{self.name}' from {old} to {new}"):
            dm.message(self.name, f"set_transaction_id {old} {new}")


class PoolStatus:
    """`<tid> <used>/<total metadata> <used>/<total data> <held root> <mode> <discard> <no space> <check> ...`"""

    def __init__(self, text: str) -> None:
        fields = text.split()
        self.transaction = int(fields[0])
        self.metadata_used, self.metadata_total = (int(n) for n in fields[1].split("/"))  # blocks of 4096 bytes
        self.data_used, self.data_total = (int(n) for n in fields[2].split("/"))  # data blocks
        self.mode = fields[4] if len(fields) > 4 else "rw"
        self.needs_check = "needs_check" in fields


def create(name: str, metadata: str, data: str, block_size: int, known: tuple[int, int] | None) -> Pool:
    """Make the pool over two block devices ('major:minor'); `block_size` in sectors.

    `known`: how many data and metadata blocks the metadata counts; None: there is none. The kernel formats metadata
    whose superblock it reads as blank, unless the pool is made to read only. So one that has metadata takes no changes
    before the kernel has read it: a disk that gives zeros for a moment does no harm. A pool whose devices have grown is
    made in one go, since one that reads only cannot grow.
    """
    sectors = _sectors(data)
    cautious = known == (sectors // block_size, _sectors(metadata) * kernel.SECTOR // BLOCK)
    features = READ_ONLY if cautious else FEATURES
    dm.create(name, sectors, "thin-pool", f"{metadata} {data} {block_size} {LOW_WATER} {features}")
    made = Pool(name)
    if cautious:
        made.allow_writes()
    return made


def _sectors(device: str) -> int:
    fd = kernel.open_device(device, os.O_RDONLY)
    try:
        with doing(f"read the size of the block device {device}"):
            return kernel.device_size(fd) // kernel.SECTOR
    finally:
        os.close(fd)
