"""thindriver.kernel, root, loop: what is asked of the kernel, asked for real."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from thindriver import dm, kernel, loop
from thindriver.errors import DriverError
from thindriver.root import Root

needs_loop = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="needs root and loop devices"
)


def test_structures_have_the_kernel_s_sizes() -> None:
    """dm_ioctl, dm_target_spec, loop_info64 and loop_config, as linux/dm-ioctl.h and linux/loop.h lay them out."""
    assert (dm.HEADER.size, dm.TARGET.size) == (312, 40)
    assert (loop.INFO.size, loop.CONFIG.size) == (232, 304)


def test_request_numbers_are_those_of_the_header() -> None:
    """_IOWR(0xfd, n, struct dm_ioctl): the structure's size is part of the number."""
    assert 3 << 30 | dm.HEADER.size << 16 | 0xFD << 8 | 14 == dm.DM_TARGET_MSG


def test_a_program_s_words_and_status_come_back(tmp_path: Path) -> None:
    """What it says on standard error is kept; a signal is a negative status."""
    lock = os.open(tmp_path, os.O_RDONLY)
    try:
        assert kernel.run(["sh", "-c", "echo out; echo err >&2; exit 3"], lock) == (3, "err\n")
        assert kernel.run(["sh", "-c", "kill -9 $$"], lock) == (-9, "")
        status, said = kernel.run(["no-such-program"], lock)
        assert status == 127
        assert "no-such-program" in said
    finally:
        os.close(lock)


def test_a_call_that_is_interrupted_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python repeats a call on EINTR; here for a while only, in processor time."""
    monkeypatch.setattr("thindriver.kernel.CALL_BUDGET", 0.05)

    def repeated() -> None:
        while True:
            os.getpid()

    with pytest.raises(InterruptedError):
        kernel.bounded(repeated)


def test_a_call_that_is_long_at_work_is_not_interrupted() -> None:
    """To flush much takes the kernel long, too: the timer is heard once, when the call is over, and it was done."""
    assert kernel.bounded(signal.raise_signal, signal.SIGPROF) is None


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("/mnt", "/mnt"),
        ("/caf\u00e9\\040x", "/caf\u00e9 x"),
        ("/a\\134b\\011\\012", "/a\\b\t\n"),
        ("/\udce9\\040", "/\udce9 "),
    ],
)
def test_a_mount_point_is_read_as_it_is_called(word: str, path: str) -> None:
    """Also one with blanks beside letters of other alphabets, or beside bytes that are no UTF-8."""
    assert os.fsdecode(kernel.unescaped(os.fsencode(word))) == path


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)
    return path.read_text()


def test_a_child_dies_with_us_and_holds_the_lock_until_then(tmp_path: Path) -> None:
    """After SIGKILL of the driver its child gets SIGKILL too, and the lock is free only when the child is gone."""
    root, note = tmp_path / "root", tmp_path / "note"
    code = (
        "import sys; from thindriver import kernel; from thindriver.root import Root; "
        "root = Root(sys.argv[1]); root.acquire(create=True); "
        "kernel.run(['sh', '-c', 'echo $$ > \"$0\"; exec sleep 1000', sys.argv[2]], root.lock)"
    )
    driver = subprocess.Popen([sys.executable, "-c", code, str(root), str(note)])
    child = int(wait_for(note))
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    again = Root(str(root))

    assert again.acquire(create=False)
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text()
    os.close(again.lock)


def test_a_root_is_locked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run waits for the first, for a bounded time, and then says so."""
    monkeypatch.setattr("thindriver.root.LOCK_PATIENCE", 0.1)
    first, second = Root(str(tmp_path)), Root(str(tmp_path))
    assert first.acquire(create=False)

    with pytest.raises(DriverError, match="in use by another run"):
        second.acquire(create=False)
    os.close(first.lock)
    assert second.acquire(create=False)
    os.close(second.lock)


def test_a_missing_root_is_only_made_on_demand(tmp_path: Path) -> None:
    """`shutdown` of a root that is not there makes none."""
    root = Root(str(tmp_path / "a" / "b"))

    assert not root.acquire(create=False)
    assert root.acquire(create=True)
    assert Path(root.path).stat().st_mode & 0o777 == 0o700
    os.close(root.lock)


@pytest.mark.parametrize("foreign", ["x", "data", "metadata", "devicemapper/x", "devicemapper/json", "mnt"])
def test_foreign_content_is_refused_by_name(tmp_path: Path, foreign: str) -> None:
    """A file of another name, or of the wrong kind, is named."""
    path = tmp_path / foreign
    path.parent.mkdir(exist_ok=True)
    path.touch()

    with pytest.raises(DriverError, match=f"foreign '{path}'"):
        Root(str(tmp_path)).check()


def test_own_content_is_accepted(tmp_path: Path) -> None:
    """What dockerd and thindriver make, and a file system's lost+found."""
    for name in ("devicemapper", "metadata", "mnt", "lost+found", "devicemapper/lost+found"):
        (tmp_path / name).mkdir()
    for name in ("devicemapper/data", "devicemapper/metadata", "setup-config.json"):
        (tmp_path / name).touch()
    Root(str(tmp_path)).check()

    assert Root(str(tmp_path)).prefix.endswith(f"-{tmp_path.stat().st_ino}")


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """A sparse file; whatever is still attached to it is detached at the end."""
    path = tmp_path / "image"
    path.touch()
    os.truncate(path, 1 << 20)
    yield path
    for left in loop.attached(str(path)):
        left.detach()
        left.close()


def backing_file(device: str) -> str:
    """What the loop device lies over, by sysfs; nothing when it lies over nothing."""
    try:
        return Path(f"/sys/block/{Path(device).name}/loop/backing_file").read_text()
    except OSError:
        return ""


@needs_loop
def test_a_file_is_attached_with_autoclear_and_vanishes_at_the_last_close(image: Path) -> None:
    """Nothing has to be detached by hand, whenever the driver dies."""
    made = loop.attach(str(image))

    assert made.flags & loop.LO_FLAGS_AUTOCLEAR
    assert kernel.device_size(made.fd) == 1 << 20
    assert backing_file(made.path).strip() == str(image)
    path = made.path
    made.close()
    # asked of sysfs: opening the device would itself keep it attached
    assert kernel.wait_until(lambda: str(image) not in backing_file(path))


@needs_loop
def test_a_leftover_attachment_is_taken_over_and_surplus_ones_go(image: Path) -> None:
    """Two devices without autoclear over one file, as crashes leave them: one is mended and kept, one detached."""
    names = [
        subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
        for _ in range(2)
    ]
    os.truncate(image, 2 << 20)
    made = loop.attach(str(image))

    assert made.path in names
    assert kernel.device_size(made.fd) == 2 << 20
    left = loop.attached(str(image))
    assert [found.path for found in left] == [made.path]
    assert left[0].flags & loop.LO_FLAGS_AUTOCLEAR
    for found in (*left, made):
        found.close()


@needs_loop
def test_a_window_on_the_file_is_not_taken_over(image: Path) -> None:
    """A device with an offset shows other bytes than the file's: it is detached, not used."""
    subprocess.run(["losetup", "-f", "-o", "4096", image], check=True)
    made = loop.attach(str(image))

    assert made.whole
    made.close()


@needs_loop
def test_other_files_devices_are_left_alone(image: Path, tmp_path: Path) -> None:
    """Only devices over this very inode count, whatever their names say."""
    other = tmp_path / "other"
    other.write_bytes(image.read_bytes())
    theirs = loop.attach(str(other))
    ours = loop.attach(str(image))

    assert theirs.device != ours.device
    found = loop.attached(str(other))
    assert [theirs.device] == [each.device for each in found]
    for each in (*found, ours, theirs):
        each.close()
