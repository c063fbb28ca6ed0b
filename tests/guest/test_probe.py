"""The probe and the exercise over a pool that a few commands make, without any driver."""

import hashlib
from typing import Any

import pytest
from crashinit import families
from crashinit.guest.probe import unescape
from crashinit.machine.protocol import Machine
from crashinit.model.observation import Exercise, Observation

ROOT = "/var/lib/test"
POOL = f"""
set -e
mkdir -p {ROOT}/devicemapper {ROOT}/metadata
truncate -s 64M {ROOT}/devicemapper/data
truncate -s 4M {ROOT}/devicemapper/metadata
data=$(losetup -f --show {ROOT}/devicemapper/data)
meta=$(losetup -f --show {ROOT}/devicemapper/metadata)
dmsetup create test-pool --table "0 131072 thin-pool $meta $data 128 0 1 skip_block_zeroing"
dmsetup message test-pool 0 "create_thin 1"
dmsetup create test-base --table "0 65536 thin /dev/mapper/test-pool 1"
mkfs.ext4 -q -E nodiscard /dev/mapper/test-base
echo '{{"device_id":1,"size":33554432,"transaction_id":0,"initialized":true}}' > {ROOT}/metadata/base
"""
SPEC = {
    "part": families.load().guest,
    "root": ROOT,
    "format": "docker",
    "pool_name": "test-pool",
    "base_name": "test-base",
}


def probe(machine: Machine, **spec: Any) -> Observation:
    return Observation.model_validate(machine.call("probe", spec={**SPEC, **spec}))


@pytest.fixture
def pool(machine: Machine) -> Machine:
    machine.run("sh", "-c", POOL).check()
    return machine


def test_a_machine_without_a_driver(machine: Machine) -> None:
    """Nothing is there, nothing is wrong with looking."""
    seen = probe(machine)

    assert (seen.problems, seen.dm, seen.loops, seen.files, seen.base, seen.pool) == ([], [], [], [], None, None)


def test_pool_base_and_loops(pool: Machine) -> None:
    """What stands there is described as the kernel has it."""
    seen = probe(pool)

    assert seen.problems == []
    assert [device.name for device in seen.dm] == ["test-base", "test-pool"]
    assert all(device.registered and not device.suspended for device in seen.dm)
    files = [f"{ROOT}/devicemapper/{name}" for name in ("data", "metadata")]
    assert files == [loop.backing_file for loop in seen.loops]
    assert not any(loop.autoclear for loop in seen.loops)
    assert seen.pool is not None
    assert [thin.id for thin in seen.pool.thin_devices] == [1]
    assert (seen.base_id, seen.semaphores) == (1, [])


def test_an_inactive_base_looks_like_an_active_one(pool: Machine) -> None:
    """The image made of its mappings has the same file system, and looking changes nothing."""
    active = probe(pool, digests=True)
    pool.run("dmsetup", "remove", "test-base").check()
    inactive = probe(pool, digests=True)

    assert active.base is not None
    assert inactive.base is not None
    assert (inactive.base.fstype, inactive.base.check_exit) == ("ext4", 0)
    assert (active.base.uuid, active.base.device_size) == (inactive.base.uuid, inactive.base.device_size)
    assert probe(pool, digests=True).model_dump() == inactive.model_dump()


def test_a_damaged_base_is_found(pool: Machine) -> None:
    """The read-only check reports it, and the probe does not mend it."""
    pool.run("debugfs", "-w", "-R", "clri <2>", "/dev/mapper/test-base").check()

    for _ in range(2):
        base = probe(pool).base
        assert base is not None
        assert base.check_exit != 0


@pytest.mark.parametrize(
    ("tool", "part"), [("thin_dump", "pool, base"), ("blkid", "base"), ("e2fsck", "base"), ("thin_check", "thin_check")]
)
def test_a_missing_tool_is_the_harnesss_fault(pool: Machine, tool: str, part: str) -> None:
    """What nobody could look at is neither absent nor broken."""
    pool.run("sh", "-ec", 'rm "$(command -v "$0")"', tool).check()
    if tool == "thin_check":
        pool.run("sh", "-ec", "dmsetup remove test-base; dmsetup remove test-pool; losetup -D").check()
    seen = probe(pool, after_shutdown=tool == "thin_check")

    assert seen.problems == []
    assert [sentence.partition(":")[0] for sentence in seen.unseen] == [part]
    assert f"'{tool}' could not be run: No such file or directory" in seen.unseen[0]


BROKEN = """
mkdir -p $0/metadata
truncate -s 16M /run/broken.img
loop=$(losetup -f --show /run/broken.img)
dmsetup create broken --table "0 32768 linear $loop 0"
mkfs.ext4 -q /dev/mapper/broken
mount /dev/mapper/broken $0/metadata
mkdir $0/metadata/d
for n in $(seq 100); do echo '{}' > $0/metadata/d/layer$n; done
sync
dmsetup load broken --table "0 32768 error"
dmsetup suspend --nolockfs broken
dmsetup resume broken
echo 3 > /proc/sys/vm/drop_caches
"""


def test_a_file_system_that_fails_is_a_problem_and_no_error(machine: Machine) -> None:
    """What gives EIO is the state, and a sentence says so."""
    machine.run("sh", "-ec", BROKEN, ROOT).check()
    seen = probe(machine)

    assert seen.unseen == []
    assert any(found.startswith("metadata: ") and found.endswith("Input/output error") for found in seen.problems)


def test_a_machine_without_nodes_is_a_problem_and_no_error(machine: Machine) -> None:
    """Where /dev/mapper is gone, dm devices cannot be observed."""
    machine.run("mv", "/dev/mapper", "/dev/elsewhere").check()
    seen = probe(machine)

    assert [found.partition(":")[0] for found in seen.problems] == ["dm", "mapper_nodes"]


def test_a_suspended_base_is_a_problem_and_no_hang(pool: Machine) -> None:
    """What could not be read is a sentence."""
    pool.run("dmsetup", "suspend", "test-base").check()
    seen = probe(pool)
    pool.run("dmsetup", "resume", "test-base").check()

    assert seen.base is None
    assert any("suspended" in problem for problem in seen.problems)
    assert probe(pool).problems == []


def test_metadata_that_are_garbage_are_a_problem(machine: Machine) -> None:
    """A file that is no thin metadata cannot be read, and that is said."""
    machine.put(b"garbage" * 1000, f"{ROOT}/devicemapper/metadata")

    assert any("metadata could not be read" in problem for problem in probe(machine).problems)


def test_after_shutdown_the_metadata_are_checked(pool: Machine) -> None:
    """thin_check runs over the file once nobody uses it; as long as the pool is there, that is a problem."""
    assert any("still active" in problem for problem in probe(pool, after_shutdown=True).problems)
    pool.run("sh", "-ec", "dmsetup remove test-base; dmsetup remove test-pool; losetup -D").check()
    seen = probe(pool, after_shutdown=True)

    assert seen.thin_check is not None
    assert (seen.thin_check.exit, seen.problems, seen.loops) == (0, [], [])
    assert seen.pool is not None
    assert [thin.id for thin in seen.pool.thin_devices] == [1]


def test_digests_follow_the_contents(pool: Machine) -> None:
    """The same blocks give the same digest, other bytes another one."""

    def digest() -> str:
        pool.run("sync").check()
        seen = probe(pool, digests=True)
        assert seen.pool is not None
        return seen.pool.thin_devices[0].digest

    before = digest()
    assert digest() == before
    pool.run("sh", "-ec", "echo changed | dd of=/dev/mapper/test-base bs=512 seek=1 conv=fsync").check()
    assert digest() != before


def test_leftovers_are_seen(machine: Machine) -> None:
    """Temporary files, nodes without a device, mounts below the root, kernel messages since the mark."""
    machine.call("mark")
    script = "mkdir -p $0/mnt; mount -t tmpfs none $0/mnt; : > $0/.tmp1; : > $0/mnt/in; ln -s /dev/null /dev/mapper/old"
    machine.run("sh", "-ec", script, ROOT).check()
    seen = probe(machine)

    assert {".tmp1", "mnt"} == {entry.path for entry in seen.files}
    assert seen.mapper_nodes == ["old"]
    assert [f"{ROOT}/mnt"] == [mount.target for mount in seen.mounts]


def test_a_device_is_seen_whatever_its_name_is(machine: Machine) -> None:
    """A name of device-mapper is any bytes without a slash (dm-ioctl.h), and a leak under an odd one is a leak."""
    script = r"dmsetup --manglename none create $'docker \351|\e[2J' --table '0 8 zero'"
    machine.run("bash", "-ec", script).check()

    seen = {device.name: device for device in probe(machine).dm}
    assert [line.split()[2] for line in seen["docker \udce9|\x1b[2J"].live_table] == ["zero"]


def test_each_mount_over_another_is_seen(machine: Machine) -> None:
    """Three mounts on one place are three, and a root that is mounted on itself twice is so twice."""
    script = (
        "mkdir -p $0/mnt; for n in 1 2 3; do mount -t tmpfs none $0/mnt; done; mount --bind $0 $0; mount --bind $0 $0"
    )
    machine.run("sh", "-ec", script, ROOT).check()

    targets = [mount.target for mount in probe(machine).mounts]
    assert (targets.count(f"{ROOT}/mnt"), targets.count(ROOT)) == (3, 2)


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("caf\u00e9\\040x".encode(), "caf\u00e9 x"),
        (b"a\\011b\\134040", "a\tb\\040"),
        (b"\xe9\\040", "\udce9 "),
        (b"plain", "plain"),
    ],
)
def test_a_mount_point_is_spelt_as_its_directory_is(field: bytes, path: str) -> None:
    """Octal escapes stand for bytes, whatever the others are; else what is mounted there would be entered."""
    assert unescape(field) == path


def test_what_is_mounted_on_an_odd_name_is_not_entered(machine: Machine) -> None:
    """A blank and letters beyond ASCII in one name."""
    directory = f"{ROOT}/caf\u00e9 x"
    machine.run("sh", "-ec", 'mkdir -p "$0"; mount -t tmpfs none "$0"; : > "$0/in"', directory).check()
    seen = probe(machine)

    assert [entry.path for entry in seen.files] == ["caf\u00e9 x"]
    assert [mount.target for mount in seen.mounts] == [directory]


def test_the_disk_that_the_root_lies_on_is_no_mount_of_the_driver(machine: Machine) -> None:
    """It was there before; what is mounted over it is the driver's."""
    script = "mkdir -p $0; modprobe brd rd_nr=1 rd_size=16384; mkfs.ext4 -q /dev/ram0; mount /dev/ram0 $0"
    machine.run("sh", "-ec", script, ROOT).check()
    assert probe(machine).mounts == []

    machine.run("mount", "--bind", ROOT, ROOT).check()
    assert [mount.target for mount in probe(machine).mounts] == [ROOT]


def test_files_are_seen_with_all_that_one_more_init_may_change(machine: Machine) -> None:
    """Owner, link, attributes, and the content of what is small."""
    script = (
        "mkdir -p $0; cd $0; echo a > small; truncate -s 1M large; ln -s there link; chown 7:8 small;"
        "python3 -c \"import os; os.setxattr('small', 'user.x', b'v')\""
    )
    machine.run("sh", "-ec", script, ROOT).check()
    seen = {entry.path: entry for entry in probe(machine).files}

    assert (seen["small"].owner, seen["small"].xattrs) == ("7:8", {"user.x": b"v".hex()})
    assert seen["small"].digest == hashlib.sha256(b"a\n").hexdigest()
    assert (seen["link"].link, seen["link"].digest, seen["large"].digest) == ("there", "", "")


def test_a_process_that_left_its_control_group_is_seen(machine: Machine) -> None:
    """Whoever appeared since the mark is the driver's, but for what the harness runs and what daemons start."""
    machine.call("mark")
    machine.run("sh", "-c", "setsid sleep 1001 > /dev/null 2>&1 &").check()
    script = "echo $$ > /sys/fs/cgroup/cgroup.procs; sleep 1002 > /dev/null 2>&1 & exit 0"
    gate = machine.call("gate_start", argv=["sh", "-c", script], root=ROOT, deadline=30.0)["gate"]
    machine.call("gate_finish", gate=gate)
    machine.run("udevadm", "trigger").check()  # its workers are udevd's children
    seen = probe(machine)

    assert [(process.name, process.argv[1:], process.outside) for process in seen.processes] == [
        ("sleep", ["1002"], True)
    ]


def test_a_daemon_that_left_its_control_group_is_seen(machine: Machine) -> None:
    """It is the agent's own child, and yet the driver's."""
    machine.call("mark")
    script = "echo $$ > /sys/fs/cgroup/cgroup.procs; echo up; exec sleep 1003"
    argv, ready = ["sh", "-c", script], {"log": "up"}
    gate = machine.call("gate_start", argv=argv, root=ROOT, deadline=30.0, ready=ready)["gate"]
    machine.call("gate_finish", gate=gate)

    assert [(process.argv, process.outside) for process in probe(machine).processes] == [(["sleep", "1003"], True)]


def test_a_child_that_begins_while_one_looks_is_no_stranger(machine: Machine) -> None:
    """A daemon starts programs all the time: one that came after its control group was read has not left it."""
    machine.call("mark")
    script = "echo up; while :; do true & sleep 0 & wait; done"
    argv, ready = ["bash", "-c", script], {"log": "up"}
    gate = machine.call("gate_start", argv=argv, root=ROOT, deadline=60.0, ready=ready)["gate"]
    machine.call("gate_finish", gate=gate)

    for _ in range(10):
        assert [process for process in probe(machine).processes if process.outside] == []


def test_a_control_group_may_go_while_one_looks(machine: Machine) -> None:
    """That of a run which is over is removed when its last process has gone, whoever is just reading it."""
    script = "cd /sys/fs/cgroup/crashinit; while :; do mkdir x x/y x/z; rmdir x/y x/z x; done >/dev/null 2>&1 &"
    machine.run("sh", "-c", f"mkdir -p /sys/fs/cgroup/crashinit; {script}").check()

    for _ in range(30):
        assert probe(machine).processes == []


def test_without_a_mark_nobody_is_a_stranger(machine: Machine) -> None:
    """Who was there at the beginning is not known, so nobody can be said to have come."""
    machine.run("sh", "-c", "env -i setsid sleep 1001 > /dev/null 2>&1 &").check()

    assert probe(machine).processes == []


@pytest.mark.parametrize("active", [True, False])
def test_exercise_leaves_no_trace(pool: Machine, active: bool) -> None:
    """A good base can be used, and all is as before."""
    if not active:
        pool.run("dmsetup", "remove", "test-base").check()
    before = probe(pool, digests=True)
    done = Exercise.model_validate(pool.call("exercise", spec=SPEC))

    assert (done.ok, done.stage, done.message) == (True, "remove", "")
    after = probe(pool, digests=True)
    assert before.model_dump(exclude={"kernel_log", "dm"}) == after.model_dump(exclude={"kernel_log", "dm"})
    assert [device.name for device in before.dm] == [device.name for device in after.dm]


def test_exercise_says_where_it_failed(pool: Machine) -> None:
    """A base without a file system cannot be mounted; nothing of the attempt stays."""
    pool.run("wipefs", "-a", "/dev/mapper/test-base").check()
    done = Exercise.model_validate(pool.call("exercise", spec=SPEC))

    assert (done.ok, done.stage, done.unseen, done.hung) == (False, "mount", False, False)
    assert [device.name for device in probe(pool).dm] == ["test-base", "test-pool"]


def test_exercise_without_its_tools_is_the_harnesss_fault(pool: Machine) -> None:
    """Whether the base can be used is then not known."""
    pool.run("sh", "-ec", 'rm "$(command -v blkid)"').check()
    done = Exercise.model_validate(pool.call("exercise", spec=SPEC))

    assert (done.ok, done.stage, done.unseen) == (False, "mount", True)


HANG = """
dmsetup remove test-base
dmsetup remove test-pool
data=$(losetup -n -O NAME -j $0/devicemapper/data)
meta=$(losetup -n -O NAME -j $0/devicemapper/metadata)
dmsetup create slow --table "0 131072 linear $data 0"
dmsetup create test-pool --table "0 131072 thin-pool $meta /dev/mapper/slow 128 0 1 skip_block_zeroing"
dmsetup suspend --nolockfs slow
"""


def test_an_exercise_that_hangs_holds_nobody_up(pool: Machine) -> None:
    """Data that never come are a failure at a stage, the agent answers on, and the machine is said to be of no use."""
    pool.run("sh", "-ec", HANG, ROOT).check()
    done = Exercise.model_validate(pool.call("exercise", spec=SPEC, timeout=120.0))

    assert (done.ok, done.hung) == (False, True)
    assert done.message.endswith("the machine is of no more use")
    assert pool.run("echo", "here").check().stdout == "here\n"
