"""Files that go into a machine and come back: in pieces, bounded, and named when something is wrong."""

import hashlib
import os
from pathlib import Path

import pytest
from crashinit.errors import GuestError, UsageError
from crashinit.machine import by_agent
from crashinit.machine import upload as module
from crashinit.machine.protocol import Machine
from crashinit.machine.upload import BATCH, listed, upload

PIECE = by_agent.PIECE


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_file_arrives_as_it_is_whatever_its_size(clone: Machine, tmp_path: Path, size: int) -> None:
    """Also where it ends with a piece: content, mode, and nothing beside it."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    clone.put(source, "/root/deep/file", 0o751)

    assert clone.get("/root/deep/file") == source.read_bytes()
    assert clone.run("stat", "-c", "%a", "/root/deep/file").stdout == "751\n"
    assert clone.run("ls", "-A", "/root/deep").stdout == "file\n"


def test_a_name_may_be_as_long_as_a_name_can_be(clone: Machine) -> None:
    """The temporary name beside it is no longer."""
    clone.put(b"x", f"/root/{'n' * 255}")

    assert clone.get(f"/root/{'n' * 255}") == b"x"


def test_a_file_is_read_from_the_disk_as_it_is_sent(clone: Machine, tmp_path: Path) -> None:
    """A file of 64 MiB does not become memory of this process, and arrives whole."""
    source = tmp_path / "source"
    piece = os.urandom(PIECE)
    with source.open("wb") as file:
        for _ in range(64):
            file.write(piece)
    before = _peak()
    clone.put(source, "/root/file")

    assert _peak() - before < 32 << 20
    digest = hashlib.sha256(piece * 64).hexdigest()
    assert clone.run("sha256sum", "/root/file").stdout.split()[0] == digest


def _peak() -> int:
    """The most memory that this process has had, in bytes (VmHWM in proc_pid_status(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def test_a_file_that_cannot_be_put_is_named(clone: Machine, tmp_path: Path) -> None:
    """The sentence names the file, where it was to be, and what the machine said; nothing half-written is left."""
    source = tmp_path / "source"
    source.write_bytes(b"x" * (8 << 20))
    clone.run("sh", "-c", "mkdir /small && mount -t tmpfs -o size=4m none /small").check()

    with pytest.raises(
        GuestError, match=f"'{source}' cannot be put into the machine as '/small/file': .*No space left"
    ):
        clone.put(source, "/small/file")
    assert clone.run("ls", "-A", "/small").stdout == ""


def test_a_file_that_is_too_large_is_refused(clone: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that never ends is not read for ever."""
    monkeypatch.setattr(by_agent, "PUT_LIMIT", 2 * PIECE)

    with pytest.raises(
        UsageError, match="'/dev/zero' cannot be put into the machine as '/root/zero': it has more than"
    ):
        clone.put(Path("/dev/zero"), "/root/zero")


def test_what_is_read_back_is_bounded(clone: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest whose file never ends does not fill the host's memory."""
    monkeypatch.setattr(by_agent, "GET_LIMIT", 2 * PIECE)

    with pytest.raises(GuestError, match="the machine's file '/dev/zero' has more than 2 MiB, and that is the limit"):
        clone.get("/dev/zero")
    assert len(clone.get("/proc/sys/kernel/random/uuid")) == 37


def test_a_tree_arrives_as_it_is(clone: Machine, tmp_path: Path) -> None:
    """Large files among small ones, modes, empty directories and links; owned by root; no byte code of this Python."""
    tree = tmp_path / "tree"
    (tree / "a" / "__pycache__").mkdir(parents=True)
    (tree / "a" / "__pycache__" / "x.pyc").write_text("old")
    (tree / "empty").mkdir()
    (tree / "a" / "small").write_text("small")
    (tree / "a" / "small").chmod(0o740)
    (tree / "b").write_bytes(os.urandom(BATCH + 1))
    (tree / "b").chmod(0o555)
    (tree / "c").write_bytes(os.urandom(BATCH))
    (tree / "link").symlink_to("a/small")
    os.chown(tree / "a" / "small", 1234, 1234)
    upload(clone, [(tree, "/srv/t/tree"), (tree / "b", "/srv/t/alone")])

    found = clone.run("sh", "-c", "cd /srv/t && find . -printf '%p %y %m %U %l\n' | sort").check().stdout
    assert found.splitlines() == [
        ". d 755 0 ",
        "./alone f 555 0 ",
        "./tree d 755 0 ",
        "./tree/a d 755 0 ",
        "./tree/a/small f 740 0 ",
        "./tree/b f 555 0 ",
        "./tree/c f 644 0 ",
        "./tree/empty d 755 0 ",
        "./tree/link l 777 0 a/small",
    ]
    assert clone.get("/srv/t/tree/b") == (tree / "b").read_bytes()
    assert clone.get("/srv/t/tree/c") == (tree / "c").read_bytes()


def test_what_is_uploaded_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files together, by the size that they seem to have, and how many they are."""
    for name in ("a", "b"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(600 << 20)

    assert listed([(tmp_path / "a", "/a")]) == [(tmp_path / "a", "/a")]
    with pytest.raises(UsageError, match="have more: at most 1 GiB can be put into a machine"):
        listed([(tmp_path, "/x")])
    monkeypatch.setattr(module, "ENTRIES", 1)
    with pytest.raises(UsageError, match="at most 1 files can be put into a machine"):
        listed([(Path(__file__), "/a"), (Path(__file__), "/b")])


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A fifo in a directory would be waited for, and a device would be read for ever."""
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(UsageError, match="/fifo' cannot be put into a machine: it is no file, directory or symbolic"):
        listed([(tmp_path, "/x")])
