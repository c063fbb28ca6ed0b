"""A control program under the harness: it shows the losses that are possible, and none that are not."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from crashinit.adapters import Adapter
from crashinit.adapters.driven import Driven
from crashinit.errors import MachineError, UsageError
from crashinit.faults.powercut import disk
from crashinit.faults.powercut.layout import MIB, layout_of, plug
from crashinit.faults.powercut.log import Entry
from crashinit.faults.powercut.plan import distinct
from crashinit.faults.powercut.record import LoggedInit, Recorder, detach
from crashinit.faults.powercut.states import CrashState
from crashinit.machine.protocol import Machine, Template
from crashinit.model.trial import Setup

PROGRAM = Path(__file__).with_name("control.py")
ROOT = "/var/lib/control"
SIZE = 384 * MIB
Found = list[tuple[CrashState, str]]  # each distinct crash state, and what it holds
Record = Callable[[str], tuple[LoggedInit, Found]]
# Mount each file system of a disk that holds many, one after the other, and print what is in its files.
LOOK = """
set -e
for number in $(seq 0 $(($1 - 1))); do
    mount -o loop,offset=$((number * $2)),sizelimit=$2 /dev/vdb /mnt
    for name in target temporary; do
        [ -e /mnt/$name ] && printf '%s=%s ' $name "$(cat /mnt/$name)"
    done
    echo
    umount /mnt
done
"""


@pytest.fixture(scope="module", params=["ext4", "xfs"])
def setup(request: pytest.FixtureRequest) -> Setup:
    return Setup(request.param, (), 60.0)


@pytest.fixture(scope="module")
def record(template: Template, setup: Setup) -> Record:
    """Records the control program, and looks into each distinct crash state: "target=new " or what there is."""
    base = disk.blank(SIZE)
    with template.clone() as machine:
        plug(machine, [base])
        layout_of(setup).make_filesystem(machine)
        machine.run("sync").check()

    @functools.cache
    def run(way: str) -> tuple[LoggedInit, Found]:
        with template.clone() as machine:
            machine.put(PROGRAM, "/opt/control.py")
            recorder = Recorder(driven(machine, way, setup), [base])
            recorded = recorder.init()
            detach(machine, ROOT)
            recorder.check()
        states = distinct(recorded, recorded.states.values()).states
        return recorded, list(zip(states, look(template, recorded, states), strict=True))

    return run


def driven(machine: Machine, way: str, setup: Setup) -> Driven:
    init = ("python3", "/opt/control.py", way, "{root}")
    adapter = Adapter(name="control", title="the control program", root=ROOT, init=init, shutdown=("true",))
    return Driven(machine, adapter, setup)


def look(template: Template, recorded: LoggedInit, states: list[CrashState]) -> list[str]:
    """What each state holds: all of them on one disk, behind each other, each mounted in its turn."""
    many = disk.blank(SIZE * len(states))
    for number, state in enumerate(states):
        [image] = recorded.disks(state)
        shift = number * SIZE // 512
        disk.write(many, (Entry(e.sector + shift, e.sectors, 0, e.data) for e in disk.pieces(image)))
    with template.clone() as machine:
        plug(machine, [many])
        said = machine.run("sh", "-c", LOOK, "look", str(len(states)), str(SIZE)).check().stdout
    return [line.strip() for line in said.splitlines()]


def after(found: Found) -> set[str]:
    """What the program may have left when the power goes after its end."""
    return {held for state, held in found if state.phase == "after"}


def test_durable_rename(record: Record) -> None:
    """Flushed and renamed and flushed: before it is done either the old or the new is there, after it only the new."""
    recorded, found = record("durable")
    done = next(op.n for op in recorded.operations if op.kind == "file.rename") + 1  # the directory's fsync
    later = {held for state, held in found if state.operation >= done}

    assert recorded.run.exit == 0, recorded.run.stderr
    assert after(found) == {"target=new"}
    assert later == {"target=new"}
    assert {held for _, held in found} >= {"", "target=old", "target=new"}
    assert {held.split()[0] for _, held in found if "target=" in held} <= {"target=old", "target=new", "target="}


def test_directory_not_flushed(record: Record) -> None:
    """A rename whose directory was not flushed may be lost, but never leaves an empty file or none."""
    recorded, found = record("directory-unflushed")

    assert recorded.run.exit == 0, recorded.run.stderr
    assert after(found) == {"target=old temporary=new"}


def test_nothing_flushed(record: Record) -> None:
    """What was never flushed is not there, and what was flushed before still is."""
    _, found = record("unflushed")

    assert {held.split()[0] for held in after(found)} == {"target=old"}
    assert not any("new" in held for held in after(found))


def test_file_not_flushed(record: Record) -> None:
    """A file that was renamed but not flushed is there without its content: the name is durable, the data is not."""
    _, found = record("file-unflushed")

    assert after(found) == {"target="}


def test_recording_is_kept(record: Record, tmp_path: Path) -> None:
    """A stored recording is read again as it was; a missing one is an error that says what to do."""
    recorded, _ = record("durable")
    recorded.store(tmp_path / "recording.gz")

    assert LoggedInit.read(tmp_path / "recording.gz") == recorded
    with pytest.raises(UsageError, match="explore power cuts again"):
        LoggedInit.read(tmp_path / "missing.gz")


def test_log_that_does_not_lead_to_the_disk(template: Template, setup: Setup) -> None:
    """A disk that holds anything else than its log says is found out."""
    disks = [disk.blank(SIZE)]
    with template.clone() as machine:
        plug(machine, disks)
        layout_of(setup).make_filesystem(machine)
        machine.run("sync").check()
    with template.clone() as machine:
        recorder = Recorder(driven(machine, "durable", setup), disks)
        detach(machine, ROOT)
        recorder.check()
        disk.write(recorder.disks[0], [Entry(SIZE // 512 - 9, 1, 0, b"x" * 512)])
        with pytest.raises(MachineError, match="differ at byte"):
            recorder.check()
