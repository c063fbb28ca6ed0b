"""thindriver.transactions: whose pool this is, told from what the root records: rules without devices."""

from pathlib import Path

import pytest
from thindriver.errors import DriverError
from thindriver.store import BASE, MAX_DEVICE_ID, Device, Store, Transaction
from thindriver.thinmeta import Thin
from thindriver.transactions import _next_free, check_ours, is_open


def root(tmp_path: Path, base: Device | None = None, transaction: Transaction | None = None) -> Store:
    """What a root records."""
    store = Store(str(tmp_path))
    store.transaction = transaction
    if base:
        store.devices[BASE] = base
    return store


def base(initialized: bool, transaction: int = 1) -> Device:
    return Device(BASE, 1, 1 << 26, transaction, initialized)


@pytest.mark.parametrize(("recorded", "pool", "open"), [(0, 0, False), (1, 0, True), (1, 1, False), (1, 5, False)])
def test_a_transaction_is_open_while_the_pool_is_one_behind(recorded: int, pool: int, open: bool) -> None:
    """The pool's id reaches the recorded one when the transaction is closed."""
    assert open is is_open(Transaction(recorded, BASE, 1), pool)


def test_a_root_without_a_transaction_has_none_open() -> None:
    """No file, nothing open."""
    assert not is_open(None, 7)


def test_a_pool_two_behind_is_another_pool() -> None:
    """No crash of ours leads there: refused instead of rolled back."""
    with pytest.raises(DriverError, match="another pool"):
        is_open(Transaction(3, BASE, 1), 1)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("recorded", "transaction", "thins", "pool"),
    [
        pytest.param(None, None, {}, 0, id="fresh pool, fresh root"),
        pytest.param(None, Transaction(1, BASE, 1), {}, 0, id="announced, not yet made"),
        pytest.param(None, Transaction(1, BASE, 1), {1: Thin(0, 0)}, 0, id="made, not yet recorded"),
        pytest.param(base(False), Transaction(1, BASE, 1), {1: Thin(0, 0)}, 0, id="recorded, still open"),
        pytest.param(base(False), Transaction(1, BASE, 1), {1: Thin(99, 0)}, 1, id="killed in mkfs"),
        pytest.param(base(False), Transaction(2, BASE, 1), {}, 1, id="deleted, still recorded"),
        pytest.param(None, Transaction(2, BASE, 1), {}, 1, id="deleted, still open"),
        pytest.param(None, Transaction(2, BASE, 1), {}, 2, id="deleted and closed"),
        pytest.param(base(True), Transaction(1, BASE, 1), {1: Thin(99, 0)}, 1, id="initialised"),
        pytest.param(base(True), None, {1: Thin(99, 0)}, 1, id="initialised, after another driver's rollback"),
    ],
)
def test_every_state_that_a_crash_of_ours_leaves_is_ours(
    tmp_path: Path,
    recorded: Device | None,
    transaction: Transaction | None,
    thins: dict[int, Thin],
    pool: int,
    shared: bool,
) -> None:
    """Whatever a kill leaves between two requests, the next init takes its own pool back."""
    assert check_ours(root(tmp_path, recorded, transaction), thins, pool, shared) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("recorded", "transaction", "thins", "pool"),
    [
        pytest.param(None, None, {1: Thin(5, 0)}, 1, id="a used pool, a fresh root"),
        pytest.param(None, None, {}, 3, id="a pool with a past, a fresh root"),
        pytest.param(None, Transaction(1, BASE, 1), {1: Thin(5, 0)}, 0, id="our id, but written to"),
        pytest.param(None, Transaction(1, BASE, 1), {1: Thin(0, 0), 2: Thin(0, 0)}, 0, id="one device too many"),
        pytest.param(None, Transaction(1, BASE, 1), {1: Thin(0, 0)}, 1, id="closed, nothing recorded"),
        pytest.param(base(False), Transaction(1, BASE, 1), {1: Thin(5, 4)}, 1, id="made in another transaction"),
        pytest.param(base(False), Transaction(1, BASE, 1), {}, 1, id="not there"),
        pytest.param(base(True), Transaction(1, BASE, 1), {}, 1, id="initialised, not there"),
    ],
)
def test_a_given_pool_that_we_cannot_explain_is_somebody_else_s(
    tmp_path: Path, recorded: Device | None, transaction: Transaction | None, thins: dict[int, Thin], pool: int
) -> None:
    """Refused before any message is sent to it."""
    with pytest.raises(DriverError, match=r"somebody else|not the base|not the pool"):
        check_ours(root(tmp_path, recorded, transaction), thins, pool, shared=True)


def test_devices_without_a_base_are_refused(tmp_path: Path) -> None:
    """A lost 'metadata/base' is not made anew while layers are recorded."""
    store = root(tmp_path)
    store.devices["a"] = Device("a", 2, 1, 2, True)

    with pytest.raises(DriverError, match="'metadata/base' is missing"):
        check_ours(store, {}, 0, shared=False)


@pytest.mark.parametrize(
    ("transaction", "refused"),
    [
        pytest.param(None, True, id="no transaction"),
        pytest.param(Transaction(3, BASE, 1), True, id="closed"),
        pytest.param(Transaction(4, BASE, 2), True, id="open, on another device"),
        pytest.param(Transaction(4, BASE, 1), False, id="open, on this device"),
    ],
)
def test_a_base_that_lost_its_record_is_not_replaced(
    tmp_path: Path, transaction: Transaction | None, refused: bool
) -> None:
    """With a base's UUID recorded and its record missing, a thin device must be an open transaction's own."""
    store = root(tmp_path, None, transaction)
    store.base_uuid = "11111111-2222-3333-4444-555555555555"

    if refused:
        with pytest.raises(DriverError, match="'metadata/base' is missing"):
            check_ours(store, {1: Thin(5, 3)}, 3, shared=False)
    else:
        assert check_ours(store, {1: Thin(5, 3)}, 3, shared=False) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("after", "taken", "free"),
    [(0, set(), 1), (1, {1}, 2), (1, {2, 3}, 4), (MAX_DEVICE_ID, {1}, 2), (MAX_DEVICE_ID - 1, set(), MAX_DEVICE_ID)],
)
def test_the_next_free_id_follows_the_last_and_wraps(after: int, taken: set[int], free: int) -> None:
    """Ids count up from the last one, skip what is taken, and begin again at 1 after 24 bits."""
    assert free == _next_free(after, taken)
