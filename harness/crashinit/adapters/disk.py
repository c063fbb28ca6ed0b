"""A disk below the root's files that can be made bad, or slow, for a while: a dm device whose table is changed, and one
above it that counts: what dm-flakey fails is in no statistics of its own.

Sources: dm-flakey.rst, dm-zero.rst, delay.rst (Documentation/admin-guide/device-mapper); block/stat.rst;
vm.rst, drop_caches.
"""

from crashinit.machine.protocol import Machine
from crashinit.model.observation import Observation

NAME = "crashinit-disk"
NODE = f"/dev/mapper/{NAME}"
BELOW = f"{NAME}-below"  # the one that is changed
FILE = "/var/lib/.crashinit-disk"
SIZE = 384 << 20  # bytes; the sparse files below a pool may be larger
SECTOR = 512
# What a table is in each condition: {loop} is the device below, {ms} how long each request takes.
SOUND = "linear {loop} 0"
TABLES = {
    "errors": "flakey {loop} 0 0 3600",  # up for 0 s, down for an hour; without a feature that fails all requests
    "zeros": "zero",
    "lost-writes": "flakey {loop} 0 0 3600 1 drop_writes",
    "slow": "delay {loop} 0 {ms}",
}
MODULES = ("dm-flakey", "dm-delay", "dm-zero")
ATTACH = f"""
for module in {" ".join(MODULES)}; do modprobe -q $module || true; done
loop=$(losetup --find --show {FILE})
echo $loop >/run/{NAME}
dmsetup create {BELOW} --noudevsync --table "0 {SIZE // SECTOR} linear $loop 0"
dmsetup mknodes {BELOW}; udevadm settle
dmsetup create {NAME} --noudevsync --table "0 {SIZE // SECTOR} linear /dev/mapper/{BELOW} 0"
dmsetup mknodes {NAME}; udevadm settle
"""
MAKE = f"truncate -s {SIZE} {FILE}\n{ATTACH}\nmkfs.ext4 -q -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 {NODE}"
MOUNT = f'mount --mkdir -t ext4 {NODE} "$1"'
# Nothing of what is read from now on is in memory, and what was written is on the disk. More than once: what was used
# lately survives the first time.
FLUSH = "sync; for each in 1 2 3; do echo 3 >/proc/sys/vm/drop_caches; done"
CHANGE = f"""
dmsetup suspend --noflush --nolockfs {BELOW}
dmsetup load {BELOW} --table "0 {SIZE // SECTOR} $2" || {{ dmsetup resume {BELOW}; exit 1; }}
dmsetup resume --noudevsync {BELOW}
"""
# How many reads and writes the disk has been asked for: fields 1 and 5
COUNT = f"set -- $(cat /sys/block/$(dmsetup info -c --noheadings -o blkdevname {NAME})/stat); echo $1 $5"
WRITABLE = 'touch "$1/.crashinit-writable" && rm "$1/.crashinit-writable"'


class Disk:
    """The disk below a directory, in one machine. All that it knows is in that machine."""

    def __init__(self, machine: Machine, directory: str) -> None:
        self._machine = machine
        self._directory = directory

    def make(self) -> None:
        """Make it, with an ext4 that is mounted on the directory. Raises GuestError."""
        self._run(f"{MAKE}\n{MOUNT}")

    def attach(self) -> None:
        """It is there again after the machine was booted. Raises GuestError."""
        self._run(f"{ATTACH}\n{MOUNT}")

    def flush(self) -> None:
        """Have nothing of it in memory that is not on it as well."""
        self._run(FLUSH)

    def requests(self) -> tuple[int, int]:
        """How many reads and writes it has been asked for so far."""
        reads, writes = map(int, self._run(COUNT).split())
        return reads, writes

    def become(self, condition: str, seconds: float = 0.0) -> None:
        """One of TABLES from now on, or "": sound. Raises GuestError, as where the kernel has no such target."""
        table = TABLES[condition] if condition else SOUND
        loop = self._run(f"cat /run/{NAME}").strip()
        self._run(CHANGE, table.format(loop=loop, ms=round(seconds * 1000)))

    def is_writable(self) -> bool:
        """Whether the file system takes writes; one that could not write its journal takes none until it is mounted
        anew."""
        return self._machine.run("sh", "-ec", WRITABLE, "sh", self._directory).exit == 0

    def apart(self, observation: Observation) -> Observation:
        """What is seen beside the disk."""
        own = {one.device for one in observation.dm if one.name in (NAME, BELOW)}
        own |= {one.device for one in observation.loops if one.backing_file == FILE}
        return observation.model_copy(
            update={
                "dm": [one for one in observation.dm if one.device not in own],
                "loops": [one for one in observation.loops if one.device not in own],
                "mapper_nodes": [name for name in observation.mapper_nodes if name not in (NAME, BELOW)],
                "mounts": [one for one in observation.mounts if one.target != self._directory or one.fstype != "ext4"],
                "blocks": [one for one in observation.blocks if one.device not in own],
            }
        )

    def _run(self, script: str, *words: str) -> str:
        return self._machine.run("sh", "-ec", script, "sh", self._directory, *words, timeout=120.0).check().stdout
