"""The small drivers with one known bug each: what is changed in their scripts, and the clause that names it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from crashinit.adapters.adapter import HERE as ADAPTERS
from crashinit.model.fault import ERRNO, kind_of
from crashinit.model.trial import CREATE, INIT, REMOVE, SHUTDOWN, Point, Setup, Trial


@dataclass(frozen=True)
class Broken:
    """One bug. Without `at` it shows without any fault."""

    name: str
    driver: str
    clause: str
    old: str
    new: str
    at: str = ""  # the operation before which the fault strikes
    fault: str = "kill"
    victim: str = "tree"
    seconds: float = 0.0
    actor: str = ""
    error: str = ""  # that the operation returns once, instead of another fault
    given: str = "fresh"
    recovery: str = "init"
    during: str = INIT
    surroundings: tuple[str, ...] = ()
    script: str = ""  # the script that is changed; the driver's own if it is not said

    def adapter(self, where: Path) -> Path:
        """An adapter file of the broken driver in a directory."""
        shutil.copytree(ADAPTERS / "drivers", where / "drivers")
        script = where / "drivers" / (self.script or self.driver)
        text = script.read_text()
        assert text.count(self.old) == 1, f"{self.name}: '{self.old}' stands {text.count(self.old)} times in the script"
        script.write_text(text.replace(self.old, self.new))
        shutil.copy(ADAPTERS / f"{self.driver}.toml", where / f"{self.driver}.toml")
        return where / f"{self.driver}.toml"

    @property
    def trial(self) -> Trial:
        """The fault that brings it out."""
        point = Point("", "before", 0, self.at)
        fault, victim = (ERRNO.name, "once") if self.error else (self.fault, self.victim)
        return Trial(
            self.name, self.driver, self.name, self.setup, point, fault, victim, 1, self.error, self.recovery,
            seconds=self.seconds, actor=self.actor, release="after" if self.actor else "",
            lasts=1 if kind_of(fault).on_a_disk else 0,
        )  # fmt: skip

    @property
    def setup(self) -> Setup:
        """The root that it begins from."""
        on_a_disk = kind_of(self.fault).on_a_disk
        return Setup(self.given, (), 60.0, during=self.during, surroundings=self.surroundings, on_a_disk=on_a_disk)


BROKEN = (
    # volume
    Broken(
        "recorded-ready-before-mkfs", "loop-dir", "C01", 'recorded base; then\n        verify',
        'recorded base || { touch "$root/state/base.json"; false; }; then\n        : verify',
        at="exec mkfs.ext4#1",
    ),
    Broken(
        "loop-left-at-shutdown", "loop-dir", "C04", "    unmount_base\n    detach\n", "    unmount_base\n",
        script="volume.sh",
    ),
    Broken(
        "mkfs-at-every-start", "loop-dir", "C11", 'recorded base; then\n        verify', "false; then\n        :"
    ),
    Broken("loop-attached-at-every-start", "loop-dir", "C04", 'test -z "$device"', "true", script="volume.sh"),
    Broken("nothing-mounted", "loop-dir", "V01", 'mount_base ext4 "$device"', 'mkdir -p "$mnt"'),
    Broken("recorded-as-not-ready", "loop-dir", "C06", '"ready": true', '"ready": false', script="volume.sh"),
    Broken("subvolume-never-made", "loop-btrfs", "V01", "btrfs -q subvolume create", "mkdir"),
    Broken("mapping-left-at-shutdown", "crypt", "C04", "\n    close\n    detach\n", "\n"),
    Broken("uuid-of-something-else", "crypt", "C18", 'finish_base "$plain"', 'finish_base "$device"'),
    Broken(
        "read-error-taken-for-blank", "loop-dir", "C12", "if recorded base; then",
        'if recorded base && blkid -p "$device" >/dev/null; then', at="exec blkid#1", error="EIO", given="populated",
    ),
    Broken(
        "failed-command-in-an-assignment", "loop-dir", "C18", '    uuid=$(uuid_of', "    local uuid=$(uuid_of",
        script="volume.sh", at="exec blkid#1", error="EIO",
    ),
    Broken(
        "semaphore-left", "crypt", "C04", "    release_cookies\n    attach", "    attach",
        at="dm.resume crashinit-crypt#1",
    ),
    # by other faults than a kill of all
    Broken(
        "interrupted-init-reports-success", "loop-dir", "C06", 'main "$@"', 'trap "exit 0" TERM\nmain "$@"',
        at="exec mkfs.ext4#1", fault="term",
    ),
    Broken(
        "given-up-half-way-with-success", "loop-dir", "C06", 'main "$@"', 'trap "exit 0" TERM\nmain "$@"',
        at="exec mv#1", fault="supervisor", seconds=2.0,
    ),
    Broken(
        "end-of-a-child-passed-over", "loop-dir", "C06", 'mv "$record.tmp" "$record" ||',
        'mv "$record.tmp" "$record" || true ||', script="volume.sh", at="exec mv#1", fault="child", victim="child",
    ),
    Broken(
        "hang-given-up-without-a-word", "loop-dir", "C15", 'must "mkfs.ext4 of \'$device\' failed" mkfs.ext4',
        '(exec 2>/dev/null; timeout -k 1 5 mkfs.ext4 -q -F "$device"; exit $?) || exit 1; true', at="exec mkfs.ext4#1",
        fault="hang", victim="call",
    ),
    Broken(
        "stop-taken-for-a-failure", "loop-dir", "C15", "mkfs.ext4 -q -F", "timeout 5 mkfs.ext4 -q -F",
        at="exec mkfs.ext4#1", fault="stop", seconds=10.0,
    ),
    Broken(
        "loops-of-others-detached", "loop-dir", "C16", "    lock\n    attach", "    lock\n    losetup -D\n    attach",
        at="exec mkfs.ext4#1", actor="other-owner",
    ),
    Broken(
        "two-inits-at-once", "loop-dir", "C18", 'flock 9 || die "cannot take the lock \'$root/lock\'"', "true",
        script="volume.sh", at="file.create state/base.json.tmp#1", fault="actor", victim="second-init",
        actor="second-init",
    ),
    # at other moments than init, and in other surroundings
    Broken(
        "volume-removed-in-pieces", "loop-dir", "C12", 'mv "$mnt/volumes/$1" "$mnt/volumes/.removed-$1"',
        'rm -r "$mnt/volumes/$1"', script="volume.sh", during=REMOVE,
        at="file.rmdir mnt/volumes/crashinit-request#1",
    ),
    Broken(
        "volume-reported-and-not-made", "loop-dir", "C12", 'create() { mkdir "$mnt/volumes/$1"', "create() { true",
        script="volume.sh", during=CREATE,
    ),
    Broken(
        "record-away-during-shutdown", "loop-dir", "C12", "    lock\n    unmount_base\n    detach",
        '    lock\n    mv "$root/state/base.json" "$root/base"\n    unmount_base\n    detach\n'
        '    mv "$root/base" "$root/state/base.json"',
        script="volume.sh", during=SHUTDOWN, given="populated", at="exec umount#1",
    ),
    Broken(
        "limit-passed-over", "loop-dir", "C06", 'exec 9>"$root/lock" || die "cannot make the lock file \'$root/lock\'"',
        '(exec 9>"$root/lock") || exit 0; exec 9>"$root/lock"', script="volume.sh", fault="none", victim="call",
        surroundings=("nofile=8",), at="exec mkdir#1",
    ),
    # lvm
    Broken(
        "vgchange-forgotten", "lvm-thin", "C01", 'vgchange -q -ay "$group"', "true", at="exec sync#3", recovery="reboot"
    ),
    Broken(
        "a-volume-left-inactive", "lvm-thin", "L01", "lvcreate -q -y --type thin -V",
        'lvcreate -q -y -an -L 4M -n spare "$group"; lvcreate -q -y --type thin -V',
    ),
    Broken("group-left-active-at-shutdown", "lvm-thin", "C04", 'vgchange -q -an "$group"', "true"),
    Broken("wrong-thin-id-recorded", "lvm-thin", "C05", 'lvs --noheadings -o thin_id "$group/$1"', "echo 7"),
    Broken("base-of-another-type", "lvm-thin", "C07", "mkfs.ext4 -q", "mkfs.ext3 -q"),
    Broken(
        "half-made-pool-taken-over", "lvm-thin", "C01", 'recorded base || forget', ":",
        at="dm.table-load crashinit-pool_tdata#1",
    ),
    Broken(
        "part-of-the-pool-left", "lvm-thin", "C01", "L*:*_tmeta:0 | L*:*_tdata:0) ;;", "L*:) ;;",
        at="dm.create crashinit-pool_tdata#1", given="populated",
    ),
    Broken(
        "volume-not-recorded", "lvm-thin", "C12", '    save_volume "$1"', "    :",
        at="exec vgchange#1", given="populated",
    ),
    Broken("mkfs-at-every-start", "lvm-thin", "C11", "        verify", "        mkfs.ext4 -q -F"),
)  # fmt: skip
