"""Volumes as the probe sees them, on loop devices that a few commands make."""

from collections.abc import Iterator
from typing import Any

import pytest
from crashinit import families
from crashinit.adapters.adapter import part
from crashinit.machine.protocol import Machine, Template
from crashinit.machine.upload import upload
from crashinit.model.observation import Exercise, Observation

ROOT = "/var/lib/test"
VOLUME = families.load("volume")
SPEC = {"part": VOLUME.guest, "root": ROOT, "mounted": f"{ROOT}/mnt"}
MAKE = f"""
set -e
mkdir -p {ROOT}/mnt
truncate -s 64M {ROOT}/disk.img
device=$(losetup -f --show {ROOT}/disk.img)
mkfs.ext4 -q -E nodiscard "$device"
mount "$device" {ROOT}/mnt
"""
# The commands by which a driver makes a user's volume
USERS = {
    "create": ["mkdir", f"{ROOT}/mnt/{{id}}"],
    "mount": ["sh", "-c", f"cd {ROOT}/mnt/{{id}} && pwd"],
    "unmount": ["true"],
    "remove": ["rm", "-r", f"{ROOT}/mnt/{{id}}"],
}


@pytest.fixture(scope="module")
def plain(template: Template) -> Iterator[Template]:
    """A template with the part of the probe that looks at volumes."""
    with template.derive(lambda machine: upload(machine, [part(VOLUME)])) as derived:
        yield derived


@pytest.fixture
def machine(plain: Template) -> Iterator[Machine]:
    with plain.clone() as machine:
        machine.run("mkdir", "-p", f"{ROOT}/mnt").check()
        yield machine


@pytest.fixture
def mounted(machine: Machine) -> Machine:
    machine.run("sh", "-c", MAKE).check()
    return machine


def probe(machine: Machine, **spec: Any) -> Observation:
    return Observation.model_validate(machine.call("probe", spec={**SPEC, **spec}))


def test_a_mounted_volume_is_seen_whole(mounted: Machine) -> None:
    """Its device, type, UUID and size; a file system in use is found clean, and can be written after."""
    seen = probe(mounted)

    assert (seen.problems, seen.unseen) == ([], [])
    (base,) = seen.volumes
    assert (base.name, base.place, base.device) == ("base", f"{ROOT}/mnt", "7:0")
    assert (base.fstype, base.size, base.subvolume) == ("ext4", 64 << 20, False)
    assert seen.base and (seen.base.uuid, seen.base.check_exit) == (base.uuid, 0)
    mounted.run("sh", "-c", f"echo x > {ROOT}/mnt/x && sync -f {ROOT}/mnt", timeout=10).check()  # it is thawed


def test_a_directory_on_the_machines_own_disk_is_no_volume(machine: Machine) -> None:
    """It is there, and nothing of the driver's is mounted on it."""
    (base,) = probe(machine).volumes

    assert (base.place, base.device) == (f"{ROOT}/mnt", "")
    assert probe(machine, mounted=f"{ROOT}/nonesuch").volumes[0].place == ""


def test_a_damaged_file_system_is_found_while_it_is_mounted(mounted: Machine) -> None:
    """A bitmap of blocks that is zeroed behind its back."""
    damage = (
        "d=/dev/loop0; b=$(dumpe2fs $d 2>/dev/null | sed -n 's/.*Block bitmap at \\([0-9]*\\).*/\\1/p' | head -n 1)"
    )
    size = "s=$(dumpe2fs -h $d 2>/dev/null | sed -n 's/Block size: *//p')"
    mounted.run("sh", "-c", f"{damage}; {size}; dd if=/dev/zero of=$d bs=$s seek=$b count=1 conv=notrunc").check()

    seen = probe(mounted)
    assert seen.base and seen.base.check_exit != 0


def test_the_stack_of_block_devices_is_seen(mounted: Machine) -> None:
    """What stands on what, also where nothing is mounted."""
    mounted.run("umount", f"{ROOT}/mnt").check()
    mounted.run("dmsetup", "create", "up", "--table", "0 8 linear /dev/loop0 0").check()
    blocks = {block.name: block for block in probe(mounted).blocks}

    assert blocks["loop0"].holders == ["dm-0"]
    assert blocks["dm-0"].slaves == ["loop0"]
    assert blocks["loop0"].size == 64 << 20


def test_a_users_volume_is_read_by_the_drivers_commands(mounted: Machine) -> None:
    """Its digest follows its content, and is asked for only where users' data count."""
    mounted.run("sh", "-c", f"mkdir {ROOT}/mnt/crashinit-user-data; echo a > {ROOT}/mnt/crashinit-user-data/f").check()
    first = probe(mounted, users=USERS, digests=True).volumes
    mounted.run("sh", "-c", f"echo b > {ROOT}/mnt/crashinit-user-data/f").check()
    second = probe(mounted, users=USERS, digests=True).volumes

    assert [one.name for one in first] == ["base", "crashinit-user-data"]
    assert first[1].digest and first[1].digest != second[1].digest
    assert [one.name for one in probe(mounted, users=USERS).volumes] == ["base"]


def test_a_users_volume_that_cannot_be_mounted_is_a_problem(mounted: Machine) -> None:
    """It is the driver's command that fails."""
    seen = probe(mounted, users=USERS, digests=True)

    assert "the user's volume could not be looked at: 'sh -c" in seen.problems[0]


@pytest.mark.parametrize("users", [{}, USERS])
def test_a_volume_is_used_and_left_as_it_was(mounted: Machine, users: dict[str, Any]) -> None:
    """By the driver's commands, or else by a file in the base."""
    done = Exercise.model_validate(mounted.call("exercise", spec={**SPEC, "users": users}))

    assert done.ok, done.message
    assert mounted.run("ls", f"{ROOT}/mnt").stdout.split() == ["lost+found"]


def test_an_exercise_of_what_is_not_there_fails(machine: Machine) -> None:
    """On the machine's own disk a file could be written as well: that would say nothing."""
    done = Exercise.model_validate(machine.call("exercise", spec=SPEC))

    assert (done.ok, done.stage, done.unseen) == (False, "find", False)
