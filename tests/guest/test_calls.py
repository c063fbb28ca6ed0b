"""The table of what is stopped against the filter's program, interpreted as the kernel would."""

import os
import struct
from pathlib import Path

import pytest
from crashinit.guest import bpf, calls, dm
from crashinit.guest.calls import AnyBit, NoBit, Rule
from crashinit.guest.decode import CALLS
from crashinit.guest.launch import filter_code
from crashinit.guest.requests import CHANGING, QUERIES, request_of

PAGE = Path(__file__).parents[2] / "docs" / "syscalls.md"
NAMES = {number: name for name, number in calls.SYSCALLS.items()}
I386 = 0x40000003


def verdict(number: int, *args: int, reads: bool = False, arch: int = bpf.AUDIT_ARCH_X86_64) -> str:
    """Run the program over a struct seccomp_data."""
    code = filter_code(reads=reads)
    data = struct.pack("=IIQ6Q", number, arch, 0, *[*args, *[0] * (6 - len(args))])
    at = accumulator = 0
    while True:
        op, jt, jf, k = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if op == bpf.LOAD:
            accumulator = struct.unpack_from("=I", data, k)[0]
        elif op == bpf.AND:
            accumulator &= k
        elif op == bpf.JUMP:
            at += k
        elif op == bpf.RETURN:
            return {bpf.SECCOMP_RET_ALLOW: "run", bpf.SECCOMP_RET_USER_NOTIF: "stop"}[k]
        else:
            holds = {
                bpf.IF_EQUAL: accumulator == k,
                bpf.IF_AT_LEAST: accumulator >= k,
                bpf.IF_ANY_BIT: bool(accumulator & k),
            }[op]
            at += jt if holds else jf


def fulfilling(rule: Rule) -> list[tuple[int, ...]]:
    """Arguments under which a rule holds, one for each value that it knows."""
    found = [[0] * 6]
    for condition in rule:
        if isinstance(condition, AnyBit):
            for args in found:
                args[condition.arg] |= condition.mask
        elif not isinstance(condition, NoBit):
            found = [
                [*args[: condition.arg], value, *args[condition.arg + 1 :]]
                for args in found
                for value in condition.values
            ]
    return [tuple(args) for args in found]


@pytest.mark.parametrize("reads", [False, True])
def test_the_program_does_what_the_table_says_for_every_number(reads: bool) -> None:
    """Of the numbers 0 to 469 those of the table are stopped, under its conditions, and no other."""
    stopped = calls.stopped(reads=reads)
    for number in range(470):
        rule = stopped.get(NAMES.get(number, ""))
        if rule is None:
            assert verdict(number, *[2**64 - 1] * 6, reads=reads) == "run", number
            continue
        for args in fulfilling(rule):
            assert verdict(number, *args, reads=reads) == "stop", (NAMES[number], args)
        if rule:
            assert verdict(number, *[0x77000000] * 6, reads=reads) == "run", NAMES[number]


@pytest.mark.parametrize(
    ("expected", "name", "args"),
    [
        ("stop", "openat", (0, 0, os.O_WRONLY | os.O_CREAT)),
        ("stop", "openat", (0, 0, os.O_WRONLY | os.O_TRUNC)),
        ("stop", "openat", (0, 0, os.O_WRONLY | os.O_TMPFILE)),
        ("run", "openat", (0, 0, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)),
        ("stop", "write", (1,)),  # a shell's redirection
        ("stop", "ioctl", (3, dm.request(dm.DM_TABLE_LOAD))),
        ("stop", "ioctl", (3, 0xC000FD03)),  # DM_DEV_CREATE of no size: the kernel takes it all the same
        ("stop", "ioctl", (3, 0x0000FD09)),
        ("run", "ioctl", (3, dm.request(dm.DM_TABLE_STATUS))),
        ("stop", "ioctl", (3, 0x4C0A)),  # LOOP_CONFIGURE
        ("run", "ioctl", (3, 0x4C05)),  # LOOP_GET_STATUS64
        ("stop", "ioctl", (3, 0x1277)),  # BLKDISCARD
        ("stop", "ioctl", (3, 0x40086610)),  # EXT4_IOC_RESIZE_FS
        ("stop", "ioctl", (3, 0x40049409)),  # FICLONE
        ("run", "ioctl", (3, 0x5401)),  # TCGETS
        ("stop", "mmap", (0, 4096, 3, 1, 5, 0)),  # PROT_READ|PROT_WRITE, MAP_SHARED
        ("run", "mmap", (0, 4096, 3, 2, 5, 0)),  # MAP_PRIVATE
        ("run", "mmap", (0, 4096, 1, 1, 5, 0)),  # PROT_READ
        ("run", "mmap", (0, 4096, 3, 0x21, 2**32 - 1, 0)),  # MAP_SHARED|MAP_ANONYMOUS
        ("stop", "semget", (0x0D4D1234, 1, 0o1600)),
        ("run", "semget", (0x1234, 1, 0o1600)),
        ("stop", "fsconfig", (3, 6)),
        ("run", "fsconfig", (3, 0)),
        ("stop", "io_submit", ()),
        ("stop", "exit", ()),
        ("run", "getpid", ()),
    ],
)
def test_only_changing_calls_are_stopped(expected: str, name: str, args: tuple[int, ...]) -> None:
    """A call reaches the supervisor exactly if its arguments let it change something."""
    assert expected == verdict(calls.SYSCALLS[name], *args)


@pytest.mark.parametrize("number", range(0, 470, 7))
def test_no_call_of_another_abi_passes(number: int) -> None:
    """The numbers of i386 and x32 mean other calls: each reaches the supervisor, which refuses it."""
    assert verdict(number, arch=I386) == "stop"
    assert verdict(calls.X32 | number) == "stop"


def test_the_search_is_short() -> None:
    """A number is found by some ten comparisons: a chain would cost each openat and ioctl a hundred and more."""
    code = filter_code(reads=False)
    longest = 0
    ends = [(0, 0)]
    while ends:
        at, passed = ends.pop()
        op, jt, jf, k = struct.unpack_from("=HBBI", code, 8 * at)
        longest = max(longest, passed)
        if op == bpf.JUMP:
            ends.append((at + 1 + k, passed + 1))
        elif op in (bpf.IF_EQUAL, bpf.IF_AT_LEAST, bpf.IF_ANY_BIT):
            ends += [(at + 1 + jt, passed + 1), (at + 1 + jf, passed + 1)]
        elif op != bpf.RETURN:
            ends.append((at + 1, passed + 1))

    assert longest < 32
    assert len(code) // 8 < 4096  # BPF_MAXINSNS


def test_every_stopped_call_has_a_decoder() -> None:
    """No call is stopped that the decoder would not know, and it knows no other."""
    assert set(calls.stopped(reads=True)) == set(CALLS)


def test_every_counted_or_refused_call_has_its_reason() -> None:
    """What is not decoded is explained, and what is explained as not stopped is not stopped."""
    assert (set(calls.COUNTED), set(calls.REFUSED)) == (set(calls.WHY_COUNTED), set(calls.WHY_REFUSED))
    assert not set(calls.WHY_NOT) & set(calls.stopped(reads=True))
    assert set(calls.WHY_NOT) <= set(calls.SYSCALLS)


def test_numbers_are_the_kernels() -> None:
    """Some of <asm/unistd_64.h>, one of each end of the table."""
    known = {"read": 0, "io_submit": 209, "rseq": 334, "pidfd_send_signal": 424, "fchmodat2": 452, "file_setattr": 469}

    assert {name: calls.SYSCALLS[name] for name in known} == known


def test_dm_request_numbers_are_the_kernels() -> None:
    """DM_DEV_CREATE and DM_TABLE_LOAD as <linux/dm-ioctl.h> makes them for x86_64."""
    assert (dm.request(dm.DM_DEV_CREATE), dm.request(dm.DM_TABLE_LOAD)) == (0xC138FD03, 0xC138FD09)


def test_the_direction_tells_requests_of_one_number_apart() -> None:
    """BTRFS_IOC_SET_FEATURES changes, BTRFS_IOC_GET_FEATURES of the same type and number does not."""
    made, started = request_of(0x50009418), request_of(0x80089418)

    assert made is not None and made.name == "BTRFS_IOC_SUBVOL_CREATE_V2"
    assert started is not None and started.name == "BTRFS_IOC_START_SYNC"
    assert request_of(0x80189439) is None
    assert not set(CHANGING) & set(QUERIES)


def test_the_page_is_current() -> None:
    """docs/syscalls.md is what the table says: `python -m crashinit.guest.calls > docs/syscalls.md` makes it."""
    assert PAGE.read_text(encoding="utf-8") == calls.page()
