"""Status: what is there, for people and programs. Changes nothing and waits for nobody."""

from __future__ import annotations

import os

from . import dm, kernel
from .deviceset import DeviceSet
from .errors import DriverError
from .pool import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def status(devices: DeviceSet) -> dict[str, Any]:
    """The recorded state, and the live pool's own account of itself (None when it is not active)."""
    store = devices.store
    if not os.path.isdir(devices.root.path):
        raise DriverError(f"there is no root '{devices.root.path}'")
    store.load()
    found = dm.info(devices.pool_name)
    return {
        "root": devices.root.path,
        "pool": pool_status(Pool(devices.pool_name)) if found and found.live and not found.suspended else None,
        "transaction": store.transaction.as_json() if store.transaction else None,
        "base_uuid": store.base_uuid,
        "base_filesystem": store.base_filesystem,
        "devices": {hash or "base": device.as_json() for hash, device in store.devices.items()},
    }


def pool_status(pool: Pool) -> dict[str, Any]:
    """A live pool; block counts as [used, total], the block size in bytes."""
    found = pool.status()
    return {
        "name": pool.name,
        "device": pool.device,
        "data": pool.data,
        "metadata": pool.metadata,
        "block_size": pool.block_size * kernel.SECTOR,
        "transaction_id": found.transaction,
        "data_blocks": [found.data_used, found.data_total],
        "metadata_blocks": [found.metadata_used, found.metadata_total],
        "mode": found.mode,
        "needs_check": found.needs_check,
        "thin_ids": sorted(pool.thins()),
    }
