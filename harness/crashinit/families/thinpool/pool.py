"""Clauses on the thin pool and on what it stands on."""

import os.path
from collections.abc import Iterable

from crashinit.contract import dmtable
from crashinit.contract.case import Case
from crashinit.contract.dmtable import SECTOR_SIZE, PoolTable, UnreadableLineError, read_pool_table
from crashinit.contract.names import device_named, own_devices, own_loops
from crashinit.contract.verdict import BrokenStateError, NotApplicableError, Verdict
from crashinit.families.thinpool.expectation import PoolExpectation
from crashinit.model.observation import Observation


def one_pool(case: Case) -> Verdict:
    """Exactly one pool of the driver's name, with a live table and the configured block size, low-water mark, features.

    Source: Documentation/admin-guide/device-mapper/thin-provisioning.rst, "Using an existing pool device": the data
    block size of a pool cannot be changed later. Table arguments: "Reference", 'thin-pool' target.
    """
    after = case.after("dm", "loops")
    table = pool_table(after)
    expected = expectation(case)
    findings = [
        f"'{device.name}' is a second pool on the driver's devices"
        for device in own_devices(after)
        if device.name != after.pool_name and any(dmtable.target(line) == "thin-pool" for line in device.live_table)
    ]
    if table.block_size * SECTOR_SIZE != expected.block_size:
        findings.append(f"the pool's block size is {table.block_size * SECTOR_SIZE} bytes, not {expected.block_size}")
    if table.low_water_mark != expected.low_water_mark:
        findings.append(f"the pool's low-water mark is {table.low_water_mark} blocks, not {expected.low_water_mark}")
    if table.features != set(expected.features):
        findings.append(f"the pool's features are {_listed(table.features)}, not {_listed(expected.features)}")
    return Verdict.of(findings)


def backing(case: Case) -> Verdict:
    """Data and metadata are loop devices over the root's own files, attached once, autoclear set, sizes as configured.

    With block devices configured, the pool must stand on those; a pool that was given to the driver is not judged.
    Source: LO_FLAGS_AUTOCLEAR in include/uapi/linux/loop.h; loop(4).
    """
    expected = expectation(case)
    if expected.backing == "given":
        raise NotApplicableError("the pool was given to the driver, which does not choose its devices")
    after = case.after("dm", "loops")
    table = pool_table(after)
    findings: list[str] = []
    if table.length != expected.data_size // SECTOR_SIZE:
        findings.append(f"the pool has {table.length} sectors of data, not {expected.data_size // SECTOR_SIZE}")
    if expected.backing == "block":
        for role, device, wanted in (
            ("data", table.data_device, expected.data_device),
            ("metadata", table.metadata_device, expected.metadata_device),
        ):
            if device != wanted:
                findings.append(f"the pool's {role} device is '{device}', not '{wanted}'")
        return Verdict.of(findings)
    findings += _judge_loop(after, "data", table.data_device, expected.data_file, expected.data_size)
    findings += _judge_loop(after, "metadata", table.metadata_device, expected.metadata_file, expected.metadata_size)
    return Verdict.of(findings)


def transaction(case: Case) -> Verdict:
    """The transaction ids of pool and driver agree, and no transaction is left open for the next init to roll back.

    Source: thin-provisioning.rst, 'set_transaction_id': userland uses the id to tell whether its own metadata and the
    pool's are of the same moment.
    """
    after = case.after("pool", "metadata")
    metadata = case.readable_metadata(after)
    if after.pool is None:
        return Verdict("fail", "the pool has no metadata to compare with")
    current = after.pool.transaction
    findings: list[str] = []
    opened = metadata.transaction
    if opened is not None and opened.open_transaction_id != current:
        state = "is left open" if opened.open_transaction_id > current else "is behind"
        findings.append(
            f"transaction {opened.open_transaction_id} on device {opened.device_id} {state}: the pool is at {current}"
        )
    findings += [
        f"device '{device.name}' is recorded with transaction {device.transaction_id}, the pool is at {current}"
        for device in metadata.devices.values()
        if device.transaction_id > current
    ]
    return Verdict.of(findings)


def expectation(case: Case) -> PoolExpectation:
    """What was asked for, in this family's terms."""
    assert isinstance(case.expectation, PoolExpectation)
    return case.expectation


def pool_table(observation: Observation) -> PoolTable:
    """The live table of the driver's pool; a pool without one is a failure."""
    device = device_named(observation, observation.pool_name)
    if device is None:
        raise BrokenStateError(f"there is no pool '{observation.pool_name}'")
    if len(device.live_table) != 1:
        raise BrokenStateError(f"pool '{device.name}' has {len(device.live_table)} targets in its live table, not 1")
    try:
        return read_pool_table(device.live_table[0])
    except UnreadableLineError as error:
        raise BrokenStateError(f"'{device.name}' is not a thin pool: {error}") from None


def idle_loops(case: Case, after: Observation) -> list[str]:
    """Loop devices over the root's files that the pool does not stand on."""
    pool = device_named(after, after.pool_name)
    in_use = {device for line in (pool.live_table if pool else []) for device in dmtable.devices(line)}
    return [
        f"'{loop.name}' is still attached to '{loop.backing_file}', which the pool does not use it for"
        for loop in own_loops(after)
        if loop.device not in in_use
    ]


def stays(case: Case) -> frozenset[str]:
    """A pool that was given to the driver outlives it."""
    pool = case.evidence.after_shutdown.pool_name if case.evidence.after_shutdown else ""
    return frozenset([pool]) if expectation(case).backing == "given" else frozenset()


def _judge_loop(after: Observation, role: str, device: str, file: str, size: int) -> list[str]:
    """What is wrong with the loop device under the pool's data or metadata."""
    wanted = os.path.normpath(f"{after.root}/{file}")
    loop = next((loop for loop in after.loops if loop.device == device), None)
    if loop is None:
        return [f"the pool's {role} device '{device}' is no loop device"]
    findings: list[str] = []
    if loop.backing_file != wanted or loop.backing_deleted:
        deleted = " (deleted)" if loop.backing_deleted else ""
        findings.append(f"'{loop.name}' of the pool's {role} is over '{loop.backing_file}'{deleted}, not '{wanted}'")
    times = sum(other.backing_file == wanted for other in after.loops)
    if times > 1:
        findings.append(f"'{wanted}' is attached to {times} loop devices, not to one")
    if not loop.autoclear:
        findings.append(f"'{loop.name}' of the pool's {role} has no autoclear, so it will outlive the pool")
    if loop.offset or loop.sizelimit:
        findings.append(f"'{loop.name}' of the pool's {role} shows only a part of its file")
    if loop.size != size // SECTOR_SIZE * SECTOR_SIZE:
        findings.append(f"'{loop.name}' of the pool's {role} has {loop.size} bytes, not {size}")
    return findings


def _listed(features: Iterable[str]) -> str:
    return f"'{' '.join(sorted(features))}'"
