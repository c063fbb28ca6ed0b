"""The thin pool: made, recognised, asked and told (Documentation/admin-guide/device-mapper/thin-provisioning.rst)."""

from __future__ import annotations

import errno
import os

from . import dm, kernel
from .errors import DriverError, doing
from .thinmeta import Thin, ThinMetadata

LOW_WATER = 32768  # blocks; dockerd's figure
FEATURES = "1 skip_block_zeroing"


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

    def check_writable(self) -> None:
        """Raise DriverError when the pool no longer takes changes to its metadata."""
        status = self.status()
        if status.needs_check or status.mode == "ro":
            raise DriverError(
                f"the thin pool '{self.name}' is read-only or needs a check: "
                "shut it down, run 'thin_check --clear-needs-check-flag' on its metadata, and thin_repair if that fails"
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


def create(name: str, metadata: str, data: str, block_size: int) -> Pool:
    """Make the pool over two block devices ('major:minor'); `block_size` in sectors.

    The kernel formats the metadata if its superblock is blank, and takes it over otherwise.
    """
    fd = kernel.open_device(data, os.O_RDONLY)
    try:
        with doing(f"read the size of the block device {data}"):
            sectors = kernel.device_size(fd) // kernel.SECTOR
    finally:
        os.close(fd)
    dm.create(name, sectors, "thin-pool", f"{metadata} {data} {block_size} {LOW_WATER} {FEATURES}")
    return Pool(name)
