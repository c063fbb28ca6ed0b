"""The filter's program, interpreted as the kernel would, and the reading of another process's memory."""

import ctypes
import os
import struct

import pytest
from crashinit.guest import dm, seccomp


def verdict(name: str, *args: int, arch: int = seccomp.AUDIT_ARCH_X86_64) -> str:
    """Run the program over a struct seccomp_data."""
    code = seccomp.program()
    data = struct.pack("=iIQ6Q", seccomp.SYSCALLS.get(name, 39), arch, 0, *[*args, *[0] * (6 - len(args))])
    at = accumulator = 0
    while True:
        op, jt, jf, k = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if op == seccomp.BPF_LD_W_ABS:
            accumulator = struct.unpack_from("=I", data, k)[0]
        elif op == seccomp.BPF_RET_K:
            return {seccomp.SECCOMP_RET_ALLOW: "allow", seccomp.SECCOMP_RET_USER_NOTIF: "stop"}[k]
        else:
            holds = {
                seccomp.BPF_JEQ_K: accumulator == k,
                seccomp.BPF_JSET_K: bool(accumulator & k),
            }[op]
            at += jt if holds else jf


@pytest.mark.parametrize(
    ("expected", "name", "args"),
    [
        ("stop", "openat", (0, 0, os.O_WRONLY | os.O_CREAT)),
        ("stop", "openat", (0, 0, os.O_WRONLY | os.O_TRUNC)),
        ("stop", "openat", (0, 0, os.O_WRONLY | os.O_TMPFILE)),
        ("allow", "openat", (0, 0, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)),
        ("stop", "write", (3,)),
        ("stop", "write", (1,)),  # a shell's redirection
        ("stop", "ioctl", (3, dm.request(dm.DM_TABLE_LOAD))),
        ("stop", "ioctl", (3, dm.request(dm.DM_TARGET_MSG))),
        ("allow", "ioctl", (3, dm.request(dm.DM_TABLE_STATUS))),
        ("allow", "ioctl", (3, dm.request(dm.DM_VERSION))),
        ("stop", "ioctl", (3, seccomp.LOOP_CONFIGURE)),
        ("allow", "ioctl", (3, 0x4C05)),  # LOOP_GET_STATUS64
        ("stop", "ioctl", (3, seccomp.BLKDISCARD)),
        ("allow", "ioctl", (3, 0x5401)),  # TCGETS
        ("stop", "renameat2", ()),
        ("stop", "exit_group", ()),
        ("allow", "getpid", ()),
    ],
)
def test_only_changing_calls_are_stopped(expected: str, name: str, args: tuple[int, ...]) -> None:
    """A call reaches the supervisor exactly if its arguments let it change something."""
    assert expected == verdict(name, *args)


def test_every_stopped_call_has_a_decoder() -> None:
    """No call is stopped that the decoder would not know."""
    from crashinit.guest.decode import Decoder

    assert set(seccomp.STOPPED) == set(Decoder("/nowhere")._calls)


def test_foreign_architectures_are_let_through() -> None:
    """The numbers of another architecture are not looked up in our table."""
    assert verdict("write", 3, arch=0x40000003) == "allow"


def test_dm_request_numbers_are_the_kernels() -> None:
    """DM_DEV_CREATE and DM_TABLE_LOAD as <linux/dm-ioctl.h> makes them for x86_64."""
    assert (dm.request(dm.DM_DEV_CREATE), dm.request(dm.DM_TABLE_LOAD)) == (0xC138FD03, 0xC138FD09)


def test_strings_are_read_across_chunks() -> None:
    """A string longer than one read comes whole, and ends at its NUL."""
    content = b"x" * 1000
    buffer = ctypes.create_string_buffer(content + b"\0rest")

    assert content == seccomp.read_string(os.getpid(), ctypes.addressof(buffer))


def test_unreadable_memory_is_an_error() -> None:
    """An address that is not mapped raises OSError, it does not give zeros."""
    with pytest.raises(OSError, match="process_vm_readv"):
        seccomp.read_memory(os.getpid(), 8, 8)
