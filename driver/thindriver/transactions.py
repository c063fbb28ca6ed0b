"""Changes to the set of thin devices: opened on disk, made in the pool, recorded, closed by the pool's id.

A change is open while `transaction-metadata` names a higher id than the pool has. Whoever comes next undoes it.
"""

from __future__ import annotations

from .errors import DriverError
from .pool import Pool
from .store import BASE, MAX_DEVICE_ID, Device, Store, Transaction
from .thinmeta import Thin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def create_device(
    pool: Pool, store: Store, hash: str, size: int, origin: Device | None = None, initialized: bool = False
) -> Device:
    """Make and record a thin device of `size` bytes, blank or as a snapshot of `origin`."""
    old = pool.status().transaction
    # An id that is in use, recorded or not, is never named in a transaction: a rollback would delete it.
    taken = {*pool.thins(), *(device.device_id for device in store.devices.values())}
    id = store.next_device_id
    while True:
        id = _next_free(id, taken)
        store.save_transaction(Transaction(old + 1, hash, id))
        if pool.create_thin(id) if origin is None else pool.create_snap(id, origin.device_id):
            break
        taken.add(id)
    device = Device(hash, id, size, old + 1, initialized)
    store.save_device(device)
    pool.set_transaction(old, old + 1)
    store.next_device_id = id
    return device


def begin_delete(pool: Pool, store: Store, device: Device) -> None:
    """Announce a deletion: from here on it is finished by whoever comes next, whatever happens to us."""
    store.save_transaction(Transaction(pool.status().transaction + 1, device.hash, device.device_id))


def finish_delete(pool: Pool, store: Store, device: Device) -> None:
    """Delete and forget an inactive thin device, after begin_delete."""
    old = pool.status().transaction
    thin = pool.thins().get(device.device_id)
    if thin is not None and made_with(device, thin):
        pool.delete(device.device_id)
    store.drop_device(device.hash)
    pool.set_transaction(old, old + 1)


def made_with(device: Device, thin: Thin) -> bool:
    """Whether the pool's thin device is the recorded one: it was made in the transaction that the record names."""
    return thin.transaction == device.transaction_id - 1


def is_open(transaction: Transaction | None, pool_id: int) -> bool:
    """Whether the last transaction did not reach its end. Raises DriverError when the pool cannot be the root's."""
    if transaction is None or transaction.open_id <= pool_id:
        return False
    if transaction.open_id > pool_id + 1:
        raise DriverError(
            f"the thin pool's transaction id is {pool_id}, but '{transaction.open_id}' was recorded last: "
            "this is another pool, or an older copy of it"
        )
    return True


def rollback(pool: Pool, store: Store, deactivate: Callable[[str], None]) -> None:
    """Undo the transaction that was left open, if there is one. Repeating it after a crash anywhere is fine.

    A deletion is finished rather than undone: its device may already be discarded, and is deactivated first.
    """
    pool_id = pool.status().transaction
    transaction = store.transaction
    if transaction is None or not is_open(transaction, pool_id):
        return
    id, hash = transaction.device_id, transaction.hash
    device = store.devices.get(hash)
    thin = pool.thins().get(id)
    if device is not None and device.device_id == id:
        if hash == BASE and device.initialized:
            raise DriverError(f"the open transaction {transaction.open_id} would delete the initialised base: refusing")
        deactivate(hash)
        if thin is not None and made_with(device, thin):
            pool.delete(id)
        store.drop_device(hash)
    elif thin is not None and thin.transaction == pool_id and all(d.device_id != id for d in store.devices.values()):
        pool.delete(id)  # made in this very transaction, and not yet recorded
    # The file stays, closed: on a given pool it is the evidence that the pool is ours.
    store.save_transaction(Transaction(pool_id, hash, id))


def check_ours(store: Store, thins: dict[int, Thin], pool_id: int, shared: bool) -> None:
    """Raise DriverError unless the pool's content is explained by what the root records.

    `shared`: the pool or its devices were given to us, so what we cannot explain belongs to somebody else.
    """
    transaction = store.transaction
    open = is_open(transaction, pool_id)
    base = store.base
    if base is not None:
        thin = thins.get(base.device_id)
        going = open and transaction is not None and (transaction.hash, transaction.device_id) == (BASE, base.device_id)
        if thin is None and not going and (base.initialized or shared):
            raise DriverError(
                f"the thin pool lacks the base's thin device {base.device_id}: "
                "it is not the pool that the root was made with"
            )
        if thin is not None and not made_with(base, thin) and shared and not base.initialized:
            raise DriverError(f"the thin pool's thin device {base.device_id} is not the base that the root records")
        return
    going_on = {transaction.device_id} if open and transaction is not None else set()
    if store.devices or (store.base_uuid and set(thins) - going_on):
        raise DriverError("the root records thin devices, but 'metadata/base' is missing: restore it from a backup")
    if not shared or (not thins and pool_id == 0):
        return
    if transaction is not None:
        closed = transaction.open_id == pool_id
        if (open or closed) and set(thins) <= going_on and all(thin.mapped == 0 for thin in thins.values()):
            return
    raise DriverError(
        f"the thin pool holds {len(thins)} thin devices (transaction id {pool_id}) that the root does not record: "
        "it belongs to somebody else"
    )


def _next_free(after: int, taken: set[int]) -> int:
    for step in range(1, MAX_DEVICE_ID + 1):
        id = (after + step) & MAX_DEVICE_ID
        if id and id not in taken:
            return id
    raise DriverError("the thin pool has no free thin id left")
