"""The observation: the canonical record of a system's storage state, as the probe in the guest writes it.

A part that could not be observed is named in `problems` when the state itself is to blame, in `unseen` when the harness
could not look; either way it can never lead to a pass. A field with a default came later than the first published
evidence, where the default means that it was not recorded.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value that refuses unknown and missing fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DmDevice(Record):
    """One device-mapper device (`dmsetup info`, `table`, `status`, `table --inactive`)."""

    name: str
    uuid: str
    device: str  # "major:minor"
    suspended: bool
    read_only: bool
    open_count: int
    live_table: list[str]  # one line per target, "" keys never shown; empty: no live table
    inactive_table: list[str]
    status: list[str]  # one line per target
    registered: bool  # /dev/mapper/<name> exists and leads to this device


class LoopDevice(Record):
    """One attached loop device (/sys/block/loopN/loop/*)."""

    name: str  # "loop0"
    device: str  # "major:minor"
    backing_file: str  # without the kernel's " (deleted)"
    backing_deleted: bool
    autoclear: bool
    offset: int  # bytes
    sizelimit: int  # bytes, 0: none
    size: int  # bytes, of the block device


class FileEntry(Record):
    """One entry below the driver's root; `path` is relative to the root."""

    path: str
    kind: Literal["file", "dir", "symlink", "other"]
    mode: int
    size: int  # bytes; 0 for all but files
    owner: str = ""  # "uid:gid"
    link: str = ""  # what a symbolic link holds
    xattrs: dict[str, str] = {}  # extended attributes, values in hexadecimal digits
    digest: str = ""  # sha256 of the content; "": not a file, or not a small one


class Mount(Record):
    source: str
    target: str
    fstype: str
    options: str


class Process(Record):
    pid: int
    name: str
    argv: list[str]
    outside: bool = False  # it has left the control group of the driver's run


class Filesystem(Record):
    """What a read-only look at the base's file system found."""

    device_size: int  # bytes, of the thin device
    fstype: str  # as blkid -p says; "" if none was recognised
    uuid: str
    check_argv: list[str]  # empty: there is no check for this type
    check_exit: int
    check_output: str


class ThinDevice(Record):
    """One thin device as the pool's own metadata records it (thin_dump)."""

    id: int
    mapped_blocks: int
    transaction: int
    digest: str  # sha256 over (offset, bytes) of every mapped block; "" when it was not asked for


class PoolMetadata(Record):
    """The pool's metadata, read through a metadata snapshot of the live pool, or after deactivation."""

    transaction: int
    block_size: int  # sectors of 512 bytes
    thin_devices: list[ThinDevice]


class CheckRun(Record):
    """One run of a checking tool (thin_check)."""

    argv: list[str]
    exit: int
    output: str


class BlockDevice(Record):
    """One block device of the machine that has a size, and what stands on it (/sys/block/NAME: holders, slaves)."""

    name: str  # "loop0", "dm-1", "vda1"
    device: str  # "major:minor"
    size: int  # bytes
    slaves: list[str]  # names of the devices that it stands on
    holders: list[str]  # names of those that stand on it
    swap: bool = False  # the kernel swaps to it (proc(5), /proc/swaps)


class Volume(Record):
    """What a driver brings up for its user: a block device or a mounted directory, with a file system."""

    name: str  # "base", or as its user calls it
    place: str  # the device's path or the mount point; "": it is not there
    device: str = ""  # "major:minor" of the file system's device
    fstype: str = ""  # as blkid names it
    uuid: str = ""  # of the file system
    size: int = 0  # bytes of the device
    subvolume: bool = False  # the directory is a subvolume of its own (btrfs)
    digest: str = ""  # sha256 over names and contents of all files in it; "" when it was not asked for


class Observation(Record):
    """The system's state at one moment."""

    root: str
    pool_name: str  # the name that the driver's pool must bear; "": its family has none
    base_name: str  # the name of the base's dm device; "": it is none of its own
    base_id: int | None  # thin id of the base by the driver's metadata; None: not recorded
    dm: list[DmDevice]  # every dm device of the machine
    loops: list[LoopDevice]  # every attached loop device of the machine
    mapper_nodes: list[str]  # names in /dev/mapper other than control
    files: list[FileEntry]  # everything below the root, sorted by path; not inside mounts
    metadata: dict[str, str]  # text of each metadata file, by path relative to the root
    mounts: list[Mount]  # on or below the root, or of a dm or loop device; one mount over another counts as two
    semaphores: list[int]  # keys of SysV semaphores that libdevmapper's udev cookies use (0x0D4Dxxxx)
    processes: list[Process]  # still alive of the driver's runs
    base: Filesystem | None  # None: there is no base to look at
    pool: PoolMetadata | None  # None: there is no pool metadata to look at
    thin_check: CheckRun | None  # only after shutdown, when the metadata device is no longer in use
    kernel_log: list[str]  # lines since the trial began
    problems: list[str]  # sentences: what the state itself kept from being observed, a suspended pool for example
    unseen: list[str] = []  # sentences: what the harness could not look at, a tool that is missing for example
    prefixes: list[str] = []  # what the names of the driver's dm devices begin with, where that is known
    blocks: list[BlockDevice] = []  # the stack of block devices; [] in evidence that is older
    volumes: list[Volume] = []  # those that the family's part of the probe was told of
    more: dict[str, str] = {}  # what else that part looked at, as text by its name
    format: int = 1  # of the record: 2 knows owners, links, attributes and digests of files


class OperationRecord(Record):
    """One operation as the gate decoded it."""

    n: int  # 1-based, in the run's global order
    key: str  # "dm.table-load pool#1": kind, object, occurrence of that pair in this run
    kind: str
    object: str
    detail: dict[str, str]
    pid: int
    program: str  # name of the program that asked: "python3", "mkfs.ext4"
    seconds: float  # since the run began


class Uevent(Record):
    """One kernel or udev event seen while a gated run was going on."""

    seconds: float  # since the run began
    source: Literal["kernel", "udev"]
    action: str
    sysname: str
    dm_name: str


class Run(Record):
    """One run of the driver under the gate."""

    argv: list[str]
    pid: int = 0  # of the command itself; 0: not recorded
    exit: int | None  # exit status; negative: ended by that signal; None: still running (a daemon, or it hung)
    timed_out: bool
    hung: bool = False  # it hangs in the kernel: seconds after SIGKILL it was still there
    early: bool = False  # a daemon that ended with status 0 before it was ready: a failure, and so `exit` is 1
    stdout: str
    stderr: str
    seconds: float
    busy: float | None = None  # seconds of CPU time that it and its children used of these; None: not recorded
    operations: list[OperationRecord]
    uevents: list[Uevent]
    unseen: list[str] = []  # what it may have changed beside its operations, or was refused, as sentences


class Exercise(Record):
    """Snapshot of the base made, mounted, written, read back, removed (C08)."""

    ok: bool
    stage: str  # the last stage begun: "snapshot", "activate", "mount", "write", "read", "unmount", "remove"
    message: str
    hung: bool = False  # it had to be given up, and what it holds cannot be cleaned up: the machine is of no more use
    unseen: bool = False  # it failed for want of something that the harness owes, such as a tool


class Actor(Record):
    """Somebody else who was in the machine during a trial."""

    name: str
    release: str  # "before", "during" or "after" the re-init, or "never"
    got: list[str]  # what it took; empty: nothing was to be had
    lost: list[str] = []  # what was not as it had left it, as sentences


class Evidence(Record):
    """All that one trial left behind, enough to judge it again offline."""

    trial: str
    fault: str = "kill"  # its name; model/fault.py has them all
    time: Literal["", "real", "virtual"] = ""  # what the machines' clocks followed; "": not recorded
    kernel: str = ""  # the release of the machines' kernel; "": not recorded
    same_as: str = ""  # the trial whose fault was the very same, so that it stands for this one; "": none
    same_state_as: str = ""  # the trial whose fault left the same state: what came after the fault is that one's
    earlier: list[Run] = []  # inits that were killed before, in the trial's order; or one that ran at the same time
    actor: Actor | None = None  # who else was there
    udev: str = ""  # how udevd behaved from the boundary on; "": as it does
    during: str = "init"  # what was struck: model/trial.py, DURING
    fault_run: Run  # the init, or what else it was, in which the (last) fault was injected
    fired: OperationRecord | None  # the boundary where it struck; None: it never did
    before: Observation | None  # state before the faulted init, with digests, when the trial began on a used root
    reinits: list[Run]  # until the first success, at most as many as the campaign allows
    stops: list[Run] = []  # how a daemon ended, by SIGTERM, each time before it was started once more
    requested: Exercise | None = None  # of a user's request that was struck: what was left of it after the re-inits
    after: Observation | None  # after the last re-init
    again: Run | None  # one more init, after success
    after_again: Observation | None
    exercise: Exercise | None
    shutdown: Run | None
    after_shutdown: Observation | None
