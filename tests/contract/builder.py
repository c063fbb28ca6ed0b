"""Evidence of a trial in which everything went well, in small pieces that a test can spoil one by one."""

import json
from collections.abc import Callable
from typing import Any

from crashinit import families
from crashinit.contract.judge import judge
from crashinit.families.thinpool.expectation import PoolExpectation
from crashinit.model.observation import (
    CheckRun,
    DmDevice,
    Evidence,
    Exercise,
    FileEntry,
    Filesystem,
    LoopDevice,
    Observation,
    OperationRecord,
    PoolMetadata,
    Run,
    ThinDevice,
)

ROOT = "/var/lib/thin"
UUID = "8f6a2c1e-0d3b-4b7e-9a51-3c2f5e7d9b10"
DATA_SIZE, METADATA_SIZE, BASE_SIZE = 256 << 20, 16 << 20, 64 << 20

FAMILY = families.load()
OF_OTHER_FAULTS = {"C14", "C15", "C16"} & FAMILY.clauses.keys()  # n/a after a kill

EXPECTATION = PoolExpectation(
    fstype="ext4",
    base_size=BASE_SIZE,
    data_size=DATA_SIZE,
    metadata_size=METADATA_SIZE,
    metadata_format="docker",
    deadline=60.0,
)


def observe(
    *,
    inode: int = 1234,
    data_loop: int = 0,
    metadata_loop: int = 1,
    pool_minor: int = 0,
    base_id: int = 1,
    transaction: int = 1,
    uuid: str = UUID,
    user_data: bool = False,
) -> Observation:
    """A converged state. The keywords are what may differ between two machines, or between two good inits."""
    prefix = f"docker-254:0-{inode}"
    metadata = {
        "metadata/base": _json(
            device_id=base_id, size=BASE_SIZE, transaction_id=transaction, initialized=True, deleted=False
        ),
        "metadata/deviceset-metadata": _json(
            next_device_id=base_id, BaseDeviceUUID=uuid, BaseDeviceFilesystem="ext4"
        ),
        "metadata/transaction-metadata": _json(
            open_transaction_id=transaction, device_hash="", device_id=base_id
        ),
    }  # fmt: skip
    thins = [ThinDevice(id=base_id, mapped_blocks=90, transaction=transaction - 1, digest="")]
    if user_data:
        metadata["metadata/layer"] = _json(
            device_id=7, size=BASE_SIZE, transaction_id=transaction, initialized=False, deleted=False
        )
        thins.append(ThinDevice(id=7, mapped_blocks=95, transaction=transaction - 1, digest="d1"))
    directories = ("devicemapper", "metadata")
    sizes = {"devicemapper/data": DATA_SIZE, "devicemapper/metadata": METADATA_SIZE}
    sizes |= {path: len(text) for path, text in metadata.items()}
    files = [FileEntry(path=path, kind="dir", mode=0o700, size=0) for path in directories]
    files += [FileEntry(path=path, kind="file", mode=0o600, size=size) for path, size in sizes.items()]
    files.append(FileEntry(path="lock", kind="file", mode=0o600, size=0, owner="0:0", digest="e3b0"))
    table = f"0 {DATA_SIZE // 512} thin-pool 7:{metadata_loop} 7:{data_loop} 128 32768 1 skip_block_zeroing"
    status = (
        f"0 {DATA_SIZE // 512} thin-pool {transaction} 140/4096 300/4096 - rw discard_passdown queue_if_no_space - 1024"
    )
    pool = DmDevice(
        name=f"{prefix}-pool",
        uuid="",
        device=f"254:{pool_minor}",
        suspended=False,
        read_only=False,
        open_count=0,
        live_table=[table],
        inactive_table=[],
        status=[status],
        registered=True,
    )
    return Observation(
        root=ROOT,
        pool_name=f"{prefix}-pool",
        base_name=f"{prefix}-base",
        base_id=base_id,
        dm=[pool],
        loops=[
            attached(data_loop, "devicemapper/data", DATA_SIZE),
            attached(metadata_loop, "devicemapper/metadata", METADATA_SIZE),
        ],
        mapper_nodes=[f"{prefix}-pool"],
        files=sorted(files, key=lambda entry: entry.path),
        metadata=metadata,
        mounts=[],
        semaphores=[],
        processes=[],
        base=Filesystem(
            device_size=BASE_SIZE,
            fstype="ext4",
            uuid=uuid,
            check_argv=["e2fsck", "-fn", "/dev/mapper/x"],
            check_exit=0,
            check_output="clean",
        ),
        pool=PoolMetadata(transaction=transaction, block_size=128, thin_devices=thins),
        thin_check=None,
        kernel_log=["loop0: detected capacity change from 0 to 524288"],
        problems=[],
        format=2,
    )


def shut_down(observation: Observation) -> Observation:
    """The state after an orderly shutdown of a driver in this state."""
    check = CheckRun(argv=["thin_check", f"{ROOT}/devicemapper/metadata"], exit=0, output="")
    return replace(observation, dm=[], loops=[], mapper_nodes=[], base=None, thin_check=check)


def evidence(**keywords: Any) -> Evidence:
    """A trial that converged; the keywords go to `observe`."""
    after = observe(**keywords)
    return Evidence(
        trial="mkfs-during-process-12",
        fault_run=run(exit=-9, operations=[operation()]),
        fired=operation(),
        before=observe(**keywords) if keywords.get("user_data") else None,
        reinits=[run()],
        after=after,
        again=run(),
        after_again=after,
        exercise=Exercise(ok=True, stage="remove", message=""),
        shutdown=run(),
        after_shutdown=shut_down(after),
    )


def reference(**keywords: Any) -> Evidence:
    """An init without faults; the keywords go to `observe`."""
    return evidence(**keywords).model_copy(update={"fired": None, "reinits": []})


def run(**changes: Any) -> Run:
    """A run that ended well."""
    good = Run(
        argv=["thindriver", "init"],
        exit=0,
        timed_out=False,
        stdout="",
        stderr="",
        seconds=1.0,
        operations=[],
        uevents=[],
    )
    return good.model_copy(update=changes)


def operation(kind: str = "exec", thing: str = "mkfs.ext4") -> OperationRecord:
    return OperationRecord(
        n=1, key=f"{kind} {thing}#1", kind=kind, object=thing, detail={}, pid=7, program="python3", seconds=0.5
    )


def attached(n: int, file: str, size: int, **changes: Any) -> LoopDevice:
    """A loop device over a file of the root."""
    loop = LoopDevice(
        name=f"loop{n}",
        device=f"7:{n}",
        backing_file=f"{ROOT}/{file}",
        backing_deleted=False,
        autoclear=True,
        offset=0,
        sizelimit=0,
        size=size,
    )
    return loop.model_copy(update=changes)


def replace(observation: Observation, **changes: Any) -> Observation:
    return observation.model_copy(update=changes)


Change = Callable[[Observation], Observation]


def change_pool(**changes: Any) -> Change:
    """Change fields of the pool's dm device; a str function changes its one line of table or status."""

    def change(observation: Observation) -> Observation:
        pool = observation.dm[0]
        made = {k: [v(line) for line in getattr(pool, k)] if callable(v) else v for k, v in changes.items()}
        return replace(observation, dm=[pool.model_copy(update=made), *observation.dm[1:]])

    return change


def change_loop(n: int, **changes: Any) -> Change:
    """Change fields of the data (0) or metadata (1) loop device."""

    def change(observation: Observation) -> Observation:
        loops = list(observation.loops)
        loops[n] = loops[n].model_copy(update=changes)
        return replace(observation, loops=loops)

    return change


def change_part(part: str, **changes: Any) -> Change:
    """Change fields of the observation's base or pool."""
    return lambda observation: replace(
        observation, **{part: getattr(observation, part).model_copy(update=changes)}
    )  # fmt: skip


def write(path: str, text: str | None = None, **fields: Any) -> Change:
    """Write a metadata file: the whole text, or only these fields of it."""

    def change(observation: Observation) -> Observation:
        old = observation.metadata.get(path)
        new = _json(**{**(json.loads(old) if old else {}), **fields}) if text is None else text
        files = [entry for entry in observation.files if entry.path != path]
        files.append(FileEntry(path=path, kind="file", mode=0o600, size=len(new)))
        return replace(
            observation,
            metadata={**observation.metadata, path: new},
            files=sorted(files, key=lambda entry: entry.path),
        )

    return change


def unlink(path: str) -> Change:
    """Take a file away."""
    return lambda observation: replace(
        observation,
        metadata={p: text for p, text in observation.metadata.items() if p != path},
        files=[entry for entry in observation.files if entry.path != path],
    )


def change_file(path: str, **changes: Any) -> Change:
    """Change fields of one file's entry."""
    return lambda observation: replace(
        observation,
        files=[entry.model_copy(update=changes) if entry.path == path else entry for entry in observation.files],
    )


def add(part: str, *things: Any) -> Change:
    """Add to one of the observation's lists."""
    return lambda observation: replace(observation, **{part: [*getattr(observation, part), *things]})


def spoil(good: Evidence, *changes: Change) -> Evidence:
    """The evidence of a driver that ended in the changed state, and stayed in it through one more init."""
    after = good.after
    assert after is not None
    for change in changes:
        after = change(after)
    return spoil_again(good.model_copy(update={"after": after}), *changes)


def spoil_again(good: Evidence, *changes: Change) -> Evidence:
    """The evidence of a driver that recovered, and whose one more init changed the state."""
    again = good.after_again
    assert again is not None
    for change in changes:
        again = change(again)
    return good.model_copy(update={"after_again": again})


def failed(
    spoilt: Evidence, expectation: PoolExpectation = EXPECTATION, against: Evidence | None = None
) -> dict[str, str]:
    """The reason of each clause that fails, but for C13: it holds any difference against the state, and so would
    fail in nearly every test."""
    verdicts = judge(spoilt, against or reference(), expectation, FAMILY)
    return {c: v.reason for c, v in verdicts.items() if v.status == "fail" and c != "C13"}


def _json(**fields: Any) -> str:
    return json.dumps(fields)
