"""Our names are taken by devices that are not ours: init refuses, and they stay as they are."""

from collections.abc import Callable

import pytest
from crashinit.adapters.driven import Driven
from crashinit.model.observation import Observation

# A thin pool of somebody else's, over files of its own, with one thin device in it.
FOREIGN_POOL = """
cd /var/lib; truncate -s 64M foreign-data; truncate -s 4M foreign-metadata
data=$(losetup --find --show foreign-data); metadata=$(losetup --find --show foreign-metadata)
dmsetup create {name} --table "0 131072 thin-pool $metadata $data {block} 32768 1 skip_block_zeroing"
dmsetup message {name} 0 "create_thin 1"
udevadm settle
"""
# A pool like the root's own in all but what is below it: copies of the root's files, as a backup would be tried out.
COPIED_POOL = """
for name in data metadata; do cp --sparse=always {root}/devicemapper/$name /var/lib/copied-$name; done
data=$(losetup --find --show /var/lib/copied-data); metadata=$(losetup --find --show /var/lib/copied-metadata)
dmsetup create {name} --table "0 $(blockdev --getsz $data) thin-pool $metadata $data 128 32768 1 skip_block_zeroing"
udevadm settle
"""


def test_copied_pool_is_left_alone(
    used: Driven, used_before: Observation, shell: Callable[[str], str], refuses: Callable[..., str]
) -> None:
    """A live pool of our name and with our devices, but over copies of our files, is refused (moby 21606)."""
    name = used.observe().pool_name
    shell(COPIED_POOL.format(name=name, root=used.adapter.root))

    refuses(used, f"'{name}' has its data on the block device", before=used_before)


@pytest.mark.parametrize("block", [128, 256])
def test_foreign_pool_is_left_alone(
    block: int, used: Driven, shell: Callable[[str], str], refuses: Callable[..., str]
) -> None:
    """A live pool of our name over other files is refused, whatever its block size (in sectors)."""
    name = used.observe().pool_name
    shell(FOREIGN_POOL.format(name=name, block=block))

    refuses(used, f"'{name}'" if block == 128 else "dm.blocksize")


def test_foreign_target_is_left_alone(used: Driven, shell: Callable[[str], str], refuses: Callable[..., str]) -> None:
    """A device of our pool's name that is no pool is refused (moby 16814)."""
    name = used.observe().pool_name
    shell(f"dmsetup create {name} --table '0 8 zero'; udevadm settle")

    refuses(used, f"'{name}' is not a thin pool", "zero")


def test_foreign_file_is_left_alone(used: Driven, shell: Callable[[str], str], refuses: Callable[..., str]) -> None:
    """A root that holds what no driver put there is not ours to work in."""
    path = f"{used.adapter.root}/letters"
    shell(f"mkdir {path}")

    refuses(used, f"'{path}'")
