"""From a stopped call to an operation. The calls are made up; the memory and the files they speak of are real."""

import ctypes
import os
import struct
from pathlib import Path
from unittest.mock import ANY

import pytest
from crashinit.guest import dm
from crashinit.guest.decode import Decoder, Operation
from crashinit.guest.decode.ioctls import TEXT_LIMIT, decode_dm
from crashinit.guest.decode.view import AT_FDCWD
from crashinit.guest.names import Places, dm_object, steady
from crashinit.guest.requests import DM, Request, code
from crashinit.guest.seccomp import Notification

NAME = "docker-8:1-1234-pool"


def call(syscall: str, *args: int | ctypes.Array[ctypes.c_char]) -> Notification:
    """A stopped call of this very process."""
    registers = [ctypes.addressof(a) if isinstance(a, ctypes.Array) else a & (1 << 64) - 1 for a in args]
    return Notification(1, os.getpid(), syscall, (*registers, *[0] * (6 - len(registers))))


KEPT: list["ctypes.Array[ctypes.c_char]"] = []  # a call holds addresses, which keep nothing alive


def text(path: Path) -> "ctypes.Array[ctypes.c_char]":
    KEPT.append(ctypes.create_string_buffer(os.fsencode(path)))
    return KEPT[-1]


def found(root: Path | str, *given: object, main: int = 0, reads: bool = False) -> Operation | None:
    """The operation of a made-up call; nothing else may come of it."""
    operation = Decoder(str(root), main, reads=reads).decode(call(*given))  # type: ignore[arg-type]
    assert operation is None or isinstance(operation, Operation)
    return operation


def decode(root: Path, *given: object, reads: bool = False) -> tuple[str, str] | None:
    operation = found(root, *given, reads=reads)
    return (operation.kind, operation.object) if operation else None


def dm_call(name: str) -> Request:
    return next(request for request in DM.values() if request.name == name)


def test_creating_counts_only_where_something_is_made(tmp_path: Path) -> None:
    """open(O_CREAT) is file.create for a new file, nothing for one that is there, file.truncate with O_TRUNC."""
    path = tmp_path / "metadata"
    flags = os.O_RDWR | os.O_CREAT

    assert decode(tmp_path, "openat", AT_FDCWD, text(path), flags) == ("file.create", "metadata")
    path.touch()
    assert decode(tmp_path, "openat", AT_FDCWD, text(path), flags) is None
    assert decode(tmp_path, "openat", AT_FDCWD, text(path), flags | os.O_TRUNC) == ("file.truncate", "metadata")


def test_paths_outside_the_root_do_not_count(tmp_path: Path) -> None:
    """What happens beside the root is no operation, nor what bears the root's name as a beginning."""
    root = tmp_path / "root"

    assert decode(root, "mkdirat", AT_FDCWD, text(tmp_path / "root-of-another")) is None
    assert decode(root, "mkdirat", AT_FDCWD, text(root)) == ("file.mkdir", ".")


def test_directories_above_the_root_count(tmp_path: Path) -> None:
    """Making the root's own parents is part of init."""
    root = tmp_path / "a" / "root"

    assert decode(root, "mkdir", text(tmp_path / "a")) == ("file.mkdir", str(tmp_path / "a"))


def test_paths_relative_to_a_descriptor(tmp_path: Path) -> None:
    """mkdirat's descriptor is followed."""
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert decode(tmp_path, "mkdirat", fd, text(Path("sub"))) == ("file.mkdir", "sub")
    finally:
        os.close(fd)


def test_links_in_the_way_are_followed(tmp_path: Path) -> None:
    """The root reached through a symbolic link is the same root."""
    (tmp_path / "root").mkdir()
    (tmp_path / "link").symlink_to("root")

    assert decode(tmp_path / "root", "mkdir", text(tmp_path / "link" / "x")) == ("file.mkdir", "x")


def test_rename_is_named_by_its_target(tmp_path: Path) -> None:
    """A temporary file that becomes the metadata is file.rename of the metadata; from nowhere it is nothing."""
    source, target = tmp_path / ".tmp123", tmp_path / "base"

    assert decode(tmp_path, "rename", text(source), text(target)) is None
    source.touch()
    assert decode(tmp_path, "rename", text(source), text(target)) == ("file.rename", "base")


def test_writes_and_fsyncs_by_descriptor(tmp_path: Path) -> None:
    """A descriptor stands for the file it is open on: also a directory; a pipe stands for nothing."""
    with (tmp_path / ".tmpab3").open("wb") as file:
        assert decode(tmp_path, "write", file.fileno(), 0, 12) == ("file.write", ".tmp*")
    fd = os.open(tmp_path, os.O_RDONLY)
    assert decode(tmp_path, "fsync", fd) == ("file.fsync", ".")
    os.close(fd)
    reader, writer = os.pipe()
    assert decode(tmp_path, "write", writer, 0, 12) is None
    os.close(reader)
    os.close(writer)


def test_a_search_along_path_is_no_exec(tmp_path: Path) -> None:
    """execve of a program that does not exist changes nothing."""
    pointers = struct.pack("=3Q", ctypes.addressof(name := text(Path("a b"))), ctypes.addressof(name), 0)
    argv = ctypes.create_string_buffer(pointers)

    assert found("/r", "execve", text(tmp_path / "mkfs.ext4"), argv) is None
    shell = found("/r", "execve", text(Path("/bin/sh")), argv)
    assert shell is not None
    assert (shell.kind, shell.object, shell.detail["argv"]) == ("exec", "sh", "'a b' 'a b'")


def test_only_the_end_of_the_command_is_an_operation() -> None:
    """exit_group of a child is none."""
    assert found("/r", "exit_group", 3, main=os.getpid()) == Operation(
        "exit", "driver", {"status": "3", "syscall": "exit_group"}
    )
    assert found("/r", "exit_group", 3, main=1) is None


def request(name: str = NAME, flags: int = 0, payload: bytes = b"", targets: int = 0) -> bytes:
    return bytes(dm.pack(name, flags, payload, targets))


def test_table_load_tells_its_targets() -> None:
    """Type and parameters of each target are in the detail, the object is the device without the driver's prefix."""
    params = b"7:1 7:0 128 32768 1 skip_block_zeroing\0"
    step = dm.TARGET_SPEC.size + len(params)
    spec = dm.TARGET_SPEC.pack(0, 524288, 0, step, b"thin-pool") + params

    loaded = decode_dm(dm_call("DM_TABLE_LOAD"), request(payload=spec, targets=1))

    assert (
        loaded.kind,
        loaded.object,
        loaded.detail["target"],
        loaded.detail["name"],
    ) == ("dm.table-load", "pool", "thin-pool", NAME)
    assert loaded.detail["table"] == "0 524288 thin-pool 7:1 7:0 128 32768 1 skip_block_zeroing"


def test_a_table_may_be_of_any_size() -> None:
    """LVM loads tables of more than 64 KiB: all targets are looked at, and the record of them has a bound."""
    line = dm.TARGET_SPEC.pack(0, 8, 0, dm.TARGET_SPEC.size + 24, b"linear") + b"7:1 0\0".ljust(24, b"\0")

    loaded = decode_dm(dm_call("DM_TABLE_LOAD"), request(payload=line * 1100, targets=1100))

    assert loaded.detail["target"] == "linear"
    assert len(loaded.detail["table"]) == TEXT_LIMIT


@pytest.mark.parametrize("count", [2, 2**32 - 1])
@pytest.mark.parametrize("step", [0, 40, 64, 2**31])
def test_a_table_may_lie_about_its_targets(count: int, step: int) -> None:
    """A count or a step beyond what is there ends the reading, not the gate: the kernel refuses such a table itself."""
    line = dm.TARGET_SPEC.pack(0, 8, 0, step, b"linear") + b"7:1 0\0"

    loaded = decode_dm(dm_call("DM_TABLE_LOAD"), request(payload=line, targets=count))

    assert (loaded.kind, loaded.object, loaded.detail["target"]) == ("dm.table-load", "pool", "linear")


def test_what_cannot_be_decoded_is_unknown(tmp_path: Path) -> None:
    """Whatever goes wrong while a call is read, the call is an operation with the error in its detail."""
    long = found(tmp_path, "openat", AT_FDCWD, text(tmp_path / ("x" * 300)), os.O_CREAT)

    assert long is not None and (long.kind, long.object) == ("unknown", "openat")
    assert long.detail == {"error": ANY, "syscall": "openat"} and "File name too long" in long.detail["error"]
    nobody = found(tmp_path, "no such call")
    assert nobody is not None and nobody.kind == "unknown"


def test_suspend_and_resume_differ_by_a_flag() -> None:
    """DM_DEV_SUSPEND without DM_SUSPEND_FLAG resumes."""
    assert decode_dm(dm_call("DM_DEV_SUSPEND"), request()).kind == "dm.resume"
    assert decode_dm(dm_call("DM_DEV_SUSPEND"), request(flags=dm.DM_SUSPEND_FLAG)).kind == "dm.suspend"


def test_a_message_is_named_by_its_verb() -> None:
    """Ids in a message change from run to run, so only its verb is in the object."""
    loaded = decode_dm(dm_call("DM_TARGET_MSG"), request(payload=bytes(8) + b"create_thin 17\0"))

    assert (loaded.object, loaded.detail["message"]) == ("pool create_thin", "create_thin 17")


def test_loop_devices_are_named_by_their_backing_file(tmp_path: Path) -> None:
    """The role of a loop device is its file's name; what is not the driver's is 'loop*'."""
    places = Places(str(tmp_path))

    assert places.role(f"{tmp_path}/devicemapper/data") == "data"
    assert places.role("/srv/image") == "loop*"
    assert decode(tmp_path, "ioctl", 0, code(ord("L"), 0x0A), 0) is None  # standard input is no loop device


@pytest.mark.parametrize(
    ("expected", "name"),
    [("pool", NAME), ("base", "container-254:0-99-base"), ("vg-pool", "vg-pool"), ("*", "docker-8:1-12-" + "ab" * 32)],
)
def test_device_names_are_the_same_in_every_run(expected: str, name: str) -> None:
    """The driver's prefix and random ids are taken off."""
    assert expected == dm_object(name)


def test_temporary_names_are_the_same_in_every_run() -> None:
    """Only the random part of a temporary name goes."""
    assert steady("metadata/.tmp0815") == "metadata/.tmp*"
    assert steady("metadata/base") == "metadata/base"
    assert steady("/x/tmpmounts/containerd-mount1654492837") == "/x/tmpmounts/containerd-mount*"
    assert steady("devices/layer-2") == "devices/layer-2"
