"""The clauses on leftovers and on the kernel's log."""

import pytest
from crashinit import families
from crashinit.contract.case import Case
from crashinit.contract.expectation import Expectation
from crashinit.contract.leftovers import idle_loops, is_alarm, log_patterns
from crashinit.contract.names import own_devices
from crashinit.model.observation import (
    BlockDevice,
    DmDevice,
    Evidence,
    FileEntry,
    Mount,
    Observation,
    OperationRecord,
    Process,
)

from tests.contract.builder import (
    DATA_SIZE,
    EXPECTATION,
    ROOT,
    Change,
    add,
    attached,
    change_pool,
    evidence,
    failed,
    observe,
    operation,
    reference,
    replace,
    run,
    shut_down,
    spoil,
    spoil_again,
)

EMPTY = DmDevice(
    name="docker-254:0-1234-base",
    uuid="",
    device="254:1",
    suspended=False,
    read_only=False,
    open_count=0,
    live_table=[],
    inactive_table=[],
    status=[],
    registered=True,
)
SUSPENDED = EMPTY.model_copy(update={"name": "x", "live_table": ["0 8 thin 254:0 1"], "suspended": True})
MOUNT = Mount(source="/dev/mapper/docker-254:0-1234-base", target="/var/lib/thin/mnt/x", fstype="ext4", options="rw")
MKFS = Process(pid=42, name="mkfs.ext4", argv=["mkfs.ext4", "/dev/mapper/x"])
TEMPORARY = FileEntry(path="metadata/.tmp123", kind="file", mode=0o600, size=0)
LEAKED_LOOP = attached(5, "devicemapper/old", DATA_SIZE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (add("dm", EMPTY), "'docker-254:0-1234-base' has no live table"),
        (add("dm", SUSPENDED), "'x' is suspended"),
        (change_pool(suspended=True), "is suspended"),
        (change_pool(registered=False), "no node of its own"),
        (change_pool(inactive_table=["0 8 thin-pool 7:1 7:0 128 1 0"]), "never made live"),
        (add("mapper_nodes", "docker-254:0-1234-base"), "leads to no device"),
        (add("loops", LEAKED_LOOP), "'loop5' is still attached"),
        (add("files", TEMPORARY), "temporary file 'metadata/.tmp123'"),
        (add("mounts", MOUNT), "still mounted"),
        (add("semaphores", 0x0D4D1234), "udev semaphore 0x0d4d1234"),
        (add("processes", MKFS), "process 42 'mkfs.ext4'"),
    ],
    ids=[
        "empty device", "suspended thin", "suspended pool", "unregistered", "inactive table", "stale node", "loop",
        "temporary file", "mount", "semaphore", "process",
    ],
)  # fmt: skip
def test_each_kind_of_leftover_fails_c04_alone(change: Change, said: str) -> None:
    """Whatever init leaves over besides its result is a leak."""
    failures = failed(spoil(evidence(), change))

    assert {"C04"} == failures.keys()
    assert said in failures["C04"]


@pytest.mark.parametrize(
    "change",
    [
        add("dm", EMPTY.model_copy(update={"name": "vg-root"})),
        add("loops", LEAKED_LOOP.model_copy(update={"backing_file": "/var/lib/thin2/data"})),
        add("files", FileEntry(path="tmp", kind="dir", mode=0o700, size=0)),
    ],
    ids=["device", "loop", "directory"],
)
def test_what_belongs_to_others_is_no_leak(change: Change) -> None:
    """Only what bears the driver's names or stands on its root is the driver's to clean up."""
    assert "C04" not in failed(spoil(evidence(), change))


def test_a_mount_that_any_init_leaves_is_no_leak() -> None:
    """What an init without faults mounts is there on purpose."""
    usual = spoil(reference(), add("mounts", MOUNT))

    assert failed(spoil(evidence(), add("mounts", MOUNT)), against=usual) == {}


@pytest.mark.parametrize("name", ["mkfs.ext4", "tune2fs", "resize2fs", "dmsetup", "helper"])
def test_a_daemon_may_live_but_an_orphan_may_not(name: str) -> None:
    """After a daemon's init there is what a daemon without faults has; all else is an orphan."""
    dockerd = Process(pid=9, name="dockerd", argv=["dockerd"])
    orphan = Process(pid=42, name=name, argv=[name])
    daemon = evidence().model_copy(update={"reinits": [run(exit=None)]})
    usual = spoil(reference(), add("processes", dockerd))

    assert failed(spoil(daemon, add("processes", dockerd)), against=usual) == {}
    assert {"C04"} == failed(spoil(daemon, add("processes", dockerd, orphan)), against=usual).keys()


def test_a_maker_of_file_systems_is_never_usual() -> None:
    """An init that leaves its mkfs at work is wrong without a fault too."""
    daemon = evidence().model_copy(update={"reinits": [run(exit=None)]})
    usual = spoil(reference(), add("processes", MKFS))

    assert {"C04"} == failed(spoil(daemon, add("processes", MKFS)), against=usual).keys()


@pytest.mark.parametrize("exit_status", [0, None])
def test_a_process_that_left_its_control_group_is_a_leak(exit_status: int | None) -> None:
    """Also of a daemon, and also where an init without faults does the same."""
    gone = Process(pid=42, name="sleep", argv=["sleep", "3000"], outside=True)
    ended = evidence().model_copy(update={"reinits": [run(exit=exit_status)]})
    found = failed(spoil(ended, add("processes", gone)), against=spoil(reference(), add("processes", gone)))

    assert found == {"C04": "process 42 'sleep', which left the driver's control group, still runs"}


@pytest.mark.parametrize("target", ["/var/lib/thin", "/var/lib/thin/mnt/x"])
def test_one_mount_more_than_usual_is_a_leak(target: str) -> None:
    """What is mounted over another mount, or on the root itself, counts each time."""
    mount = MOUNT.model_copy(update={"target": target})
    usual = spoil(reference(), add("mounts", mount))

    assert failed(spoil(evidence(), add("mounts", mount)), against=usual) == {}
    failures = failed(spoil(evidence(), add("mounts", mount, mount)), against=usual)
    assert failures == {"C04": f"'{MOUNT.source}' is still mounted on '{target}', mount 2 on that place"}


def test_a_mount_that_one_more_init_stacks_fails_c11() -> None:
    """A leak of one mount a start shows at the second start."""
    once = spoil(evidence(), add("mounts", MOUNT))
    usual = spoil(reference(), add("mounts", MOUNT))

    assert failed(spoil_again(once, add("mounts", MOUNT)), against=usual).keys() == {"C11"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda o: replace(o, dm=observe().dm), "'docker-254:0-1234-pool' is active"),
        (lambda o: replace(o, loops=observe().loops), "'loop0' is attached"),
        (add("mapper_nodes", "docker-254:0-1234-pool"), "node '/dev/mapper/docker-254:0-1234-pool'"),
        (add("mounts", MOUNT), "is mounted"),
        (add("semaphores", 0x0D4D1234), "semaphore"),
        (add("processes", MKFS), "process 42"),
    ],
    ids=["pool", "loops", "node", "mount", "semaphore", "process"],
)
def test_what_outlives_shutdown_fails_c04(change: Change, said: str) -> None:
    """After shutdown nothing of the driver is active: neither pool nor loops, nodes, mounts, processes."""
    failures = failed(evidence().model_copy(update={"after_shutdown": change(shut_down(observe()))}))

    assert {"C04"} == failures.keys()
    assert said in failures["C04"]


def test_a_failed_shutdown_fails_c04() -> None:
    """A shutdown that fails is a leak even if nothing is seen of it."""
    bad = evidence().model_copy(update={"shutdown": run(exit=1, stderr="pool is busy\n")})

    assert failed(bad) == {"C04": "shutdown ended with exit status 1: 'pool is busy'"}


def test_a_daemon_that_hangs_ahead_of_one_more_init_fails_c04() -> None:
    """It was ended in the orderly way, as at its shutdown, and did not end."""
    hung = run(exit=-9, timed_out=True, seconds=60.0)
    reason = failed(evidence().model_copy(update={"stops": [hung]}))["C04"]

    assert reason.startswith("before one more init the daemon did not end in time")


def test_a_daemon_that_an_error_lasts_for_may_fail_at_its_end() -> None:
    """The call still fails then, which its end may need; of any other daemon it is a failure."""
    ready, ended = run(exit=None), run(exit=1)
    stopped = evidence().model_copy(update={"fault_run": ready, "reinits": [ready], "stops": [ended]})

    assert "C04" not in failed(stopped.model_copy(update={"fault": "errno"}))
    assert "C04" in failed(stopped)


def test_nothing_is_owed_after_a_shutdown_that_could_not_be() -> None:
    """A daemon whose one more init failed is not there to be shut down: that is C11's failure alone."""
    down = evidence()
    nothing = down.model_copy(update={"again": run(exit=3), "shutdown": None, "after_shutdown": down.after})

    assert failed(nothing).keys() == {"C11"}


def test_a_given_pool_may_outlive_the_driver() -> None:
    """A pool that was handed to the driver is not the driver's to take down."""
    given = EXPECTATION.model_copy(update={"backing": "given"})
    pool = change_pool(live_table=lambda line: line.replace("7:", "8:"))(observe()).dm[0]
    still = replace(shut_down(observe()), dm=[pool])
    lasting = spoil(evidence(), lambda o: replace(o, dm=[pool], loops=[])).model_copy(update={"after_shutdown": still})

    assert failed(lasting, given) == {}


@pytest.mark.parametrize(
    "line",
    [
        "BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "WARNING: CPU: 0 PID: 12 at drivers/md/dm-thin.c:2212",
        "INFO: task mkfs.ext4:92 blocked for more than 120 seconds.",
        "Buffer I/O error on dev dm-1, logical block 0, async page read",
        "I/O error, dev loop0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
        "EXT4-fs error (device dm-1): ext4_lookup:1234: inode #2: bad extra_isize",
        "device-mapper: thin: 254:0: metadata operation 'dm_pool_commit_metadata' failed: error = -5",
        "device-mapper: table: 254:0: thin-pool: Error creating metadata object (-EINVAL)",
    ],
)
def test_an_alarm_of_the_kernel_fails_c17_alone(line: str) -> None:
    """BUG, WARNING, hung tasks and errors of block devices, file systems and device-mapper count."""
    failures = failed(spoil(evidence(), add("kernel_log", line)))

    assert {"C17": f"the kernel reported '{line}'"} == failures


@pytest.mark.parametrize(
    "line",
    [
        "loop0: detected capacity change from 0 to 524288",
        "device-mapper: thin: Data device (loop0) discard unsupported: Disabling discard passdown.",
        "device-mapper: thin: 254:0: reached low water mark for data device: sending event.",
        "EXT4-fs (dm-1): mounted filesystem with ordered data mode. Opts: errors=remount-ro. Quota mode: none.",
        "EXT4-fs (dm-1): recovery complete",
    ],
)
def test_ordinary_lines_of_the_kernel_are_quiet(line: str) -> None:
    """What the kernel says of a healthy pool is no alarm."""
    assert not is_alarm(line)


@pytest.mark.parametrize(
    ("line", "interrupted"),
    [
        (
            "device-mapper: thin: Creation of new thinly-provisioned device with id 1 failed.",
            operation("dm.message", "pool create_thin"),
        ),
        ("device-mapper: thin: Deletion of thin device 1 failed.", operation("file.rename", "metadata/base")),
    ],
)
def test_a_line_is_explained_only_by_the_fault_that_explains_it(line: str, interrupted: OperationRecord) -> None:
    """An init that was ended there leaves what the next one trips over; without that the line is an alarm."""
    told = spoil(evidence(), add("kernel_log", line))
    there = told.model_copy(update={"fault_run": run(exit=-9, operations=[interrupted])})
    calm = there.model_copy(update={"fired": None, "fault_run": run(operations=[interrupted])})

    assert {"C17"} == failed(told.model_copy(update={"fault_run": run(exit=-9)})).keys()
    assert {"C17"} == failed(calm).keys()
    assert failed(there) == {}
    assert failed(calm, against=spoil(reference(), add("kernel_log", line))) == {}


@pytest.mark.parametrize("of", ["fault_run", "reinits", "again"])
def test_a_pool_that_was_asked_to_read_only_may_say_so(of: str) -> None:
    """The kernel's line is explained by a table that asks for it, of whichever init; without one it is an alarm."""
    told = spoil(evidence(), add("kernel_log", "device-mapper: thin: 254:0: switching pool to read-only mode"))
    parts = "0 524288 thin-pool 7:1 7:0 128 32768 2 skip_block_zeroing"

    def loaded(table: str) -> Evidence:
        load = operation("dm.table-load", "pool").model_copy(update={"detail": {"table": table}})
        init = run(operations=[load])
        return told.model_copy(update={of: [init] if of == "reinits" else init})

    assert {"C17"} == failed(loaded(parts)).keys()
    assert {"C17"} == failed(loaded("0 8 linear 7:0 read_only")).keys()
    assert failed(loaded(f"{parts} read_only")) == {}


def test_an_alarm_during_shutdown_counts() -> None:
    """The log is judged to its end, not only as of the re-init."""
    late = add("kernel_log", "BUG: late")(shut_down(observe()))

    assert {"C17"} == failed(evidence().model_copy(update={"after_shutdown": late})).keys()


def test_every_known_line_has_its_reason() -> None:
    """Alarms and explanations are written data, each with a reason."""
    entries = [*log_patterns("alarm"), *log_patterns("explained")]

    assert entries
    assert all(entry.reason.endswith(".") for entry in entries)


def test_an_alarm_during_one_more_init_counts() -> None:
    """The state after one more init may be the last that was observed."""
    last = add("kernel_log", "BUG: late")(observe())

    assert failed(evidence().model_copy(update={"after_again": last})).keys() == {"C17"}


def stack(*, holders: tuple[str, ...] = (), swap: bool = False, loops: int = 1) -> Observation:
    """A state with loop devices over one file of the root, and no pool."""
    attached_ones = [attached(n, "disk.img", DATA_SIZE) for n in range(loops)]
    blocks = [
        BlockDevice(name=loop.name, device=loop.device, size=DATA_SIZE, slaves=[], holders=[*holders], swap=swap)
        for loop in attached_ones
    ]
    plain = {"dm": [], "mapper_nodes": [], "loops": attached_ones, "blocks": blocks, "pool_name": "", "base_name": ""}
    return observe().model_copy(update=plain)


def idle(state: Observation) -> list[str]:
    case = Case(evidence(), reference(), Expectation(deadline=60.0), families.load("volume"))
    return idle_loops(case, state)


def test_a_loop_on_which_nothing_stands_is_idle() -> None:
    """A holder, a mount, swap or a dm device makes it one that is used."""
    mounted = Mount(source="/dev/loop0", target=f"{ROOT}/mnt", fstype="ext4", options="rw")
    below = EMPTY.model_copy(update={"name": "x", "live_table": ["0 8 linear 7:0 0"]})

    assert idle(stack()) == [f"'loop0' is still attached to '{ROOT}/disk.img', and nothing uses it"]
    assert idle(stack(holders=("md0",))) == []
    assert idle(stack(swap=True)) == []
    assert idle(stack().model_copy(update={"mounts": [mounted]})) == []
    assert idle(stack().model_copy(update={"dm": [below]})) == []


def test_a_file_that_is_attached_twice_is_named_once() -> None:
    """Also where each of the two is used: they have a cache each, and what one is told the other does not know."""
    assert idle(stack(holders=("md0",), loops=2)) == [f"'{ROOT}/disk.img' is attached to 'loop0' and to 'loop1'"]


def test_devices_that_stand_on_each_other_are_the_drivers() -> None:
    """In any number of layers above the root's loops, whatever they are called; others are not."""
    layers = [
        EMPTY.model_copy(update={"name": name, "device": f"254:{n}", "live_table": [f"0 8 linear {below} 0"]})
        for n, (name, below) in enumerate((("top", "254:1"), ("middle", "254:2"), ("low", "7:0"), ("other", "8:0")))
    ]

    assert [one.name for one in own_devices(stack().model_copy(update={"dm": layers}))] == ["top", "middle", "low"]


def test_a_device_without_a_table_is_known_by_the_families_prefix() -> None:
    """It stands on nothing, so its name alone tells whose it is."""
    named = stack().model_copy(update={"dm": [EMPTY.model_copy(update={"name": "vg-pool_tdata"})]})

    assert own_devices(named) == []
    assert len(own_devices(named.model_copy(update={"prefixes": ["vg-"]}))) == 1
