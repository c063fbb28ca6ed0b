"""Calls that a driver may change storage by, each made in a real machine: what the gate makes of it."""

from typing import Any

import pytest
from crashinit.machine.protocol import Machine
from crashinit.model.observation import Run

ROOT = "/var/lib/test"
PREFACE = f"""
import ctypes, fcntl, mmap, os, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p
os.mkdir("{ROOT}"); os.chdir("{ROOT}")
fd = os.open("f", os.O_RDWR | os.O_CREAT)
os.write(fd, bytes(8192))
"""
SUBMIT = """
context = ctypes.c_ulong()
libc.syscall(206, 8, ctypes.byref(context))
page = ctypes.create_string_buffer(512)
def iocb(opcode, size=0, offset=0):
    buffer = ctypes.addressof(page) if size else 0
    return ctypes.create_string_buffer(struct.pack("=16xHhIQQq16x", opcode, 0, fd, buffer, size, offset))
def submit(*requests):
    pointers = (ctypes.c_void_p * len(requests))(*map(ctypes.addressof, requests))
    return libc.syscall(209, context, len(requests), pointers)
"""


def started(machine: Machine, script: str, stop: str = "never", **more: Any) -> dict[str, Any]:
    argv = ["python3", "-c", PREFACE + script]
    state: dict[str, Any] = machine.call("gate_start", argv=argv, root=ROOT, deadline=20, stop=stop, env={}, **more)
    return state


def finished(machine: Machine, state: dict[str, Any]) -> Run:
    run = Run.model_validate(machine.call("gate_finish", gate=state["gate"]))
    assert "Traceback" not in run.stderr, run.stderr
    return run


def keys(run: Run) -> list[str]:
    """What came after the preface, without the exit."""
    found = [operation.key for operation in run.operations]
    return found[found.index("file.write f#1") + 1 : -1]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("os.chmod('f', 0o600); os.fchmod(fd, 0o640)", ["file.chmod f#1", "file.chmod f#2"]),
        ("os.chown('f', 1, 1); os.lchown('f', 0, 0); os.fchown(fd, 0, 0)", [f"file.chown f#{n}" for n in (1, 2, 3)]),
        ("os.utime('f', (1, 1)); os.utime(fd, (2, 2))", ["file.utime f#1", "file.utime f#2"]),
        (
            "os.setxattr('f', 'user.a', b'1'); os.removexattr(fd, 'user.a')",
            ["file.setxattr f#1", "file.removexattr f#1"],
        ),
        ("r, w = os.pipe(); os.write(w, b'abc'); os.splice(r, fd, 3)", ["file.write f#2"]),
        (
            "was = bytearray(8); fcntl.ioctl(fd, 0x80086601, was)  # FS_IOC_GETFLAGS\n"
            "fcntl.ioctl(fd, 0x40086602, bytes([was[0] | 0x80]) + was[1:])",  # FS_IOC_SETFLAGS: noatime as well
            ["file.set-flags f#1"],
        ),
        ("os.mkdir('in'); os.chroot('in'); os.mkdir('/a')", ["file.mkdir in#1", "file.mkdir in/a#1"]),
        (SUBMIT + "assert submit(iocb(1, 512, 512), iocb(3)) == 2", ["file.submit f#1"]),
        (SUBMIT + "assert submit(iocb(0, 512)) == 1", []),  # a read
        ("libc.semget(0x0d4d1234, 1, 0o1600); libc.semget(0x1234, 1, 0o1600)", ["sem.create cookie#1"]),
        (
            "i = libc.semget(0x0d4d1234, 1, 0o1600); op = ctypes.create_string_buffer(struct.pack('Hhh', 0, 1, 0)); "
            "libc.semop(i, op, 1); libc.semctl(i, 0, 0)",
            ["sem.create cookie#1", "sem.change cookie#1", "sem.remove cookie#1"],
        ),
        (
            "os.mkdir('m'); libc.syscall(442, os.open('m', 0), b'', 0x1000, 0, 0)",
            ["file.mkdir m#1", "mount.set-attributes m#1"],
        ),
    ],
)
def test_what_changes_storage_is_an_operation(machine: Machine, script: str, expected: list[str]) -> None:
    """Each call, however it is made, is decoded with its object, and has run when it is let go."""
    assert keys(finished(machine, started(machine, script))) == expected


def test_a_submission_is_a_boundary_of_its_own_and_can_fail(machine: Machine) -> None:
    """Held, none of its requests has been taken; failed, none is; its detail lists them."""
    state = started(
        machine, SUBMIT + "print(submit(iocb(1, 512, 8192), iocb(2)), ctypes.get_errno())", "file.submit f#1"
    )

    assert state["operation"]["detail"]["requests"] == "file.write f 512@8192\nfile.fsync f 0@0"
    machine.call("gate_fail", gate=state["gate"], errno=11)
    assert finished(machine, state).stdout == "-1 11\n"
    assert machine.run("stat", "--format=%s", f"{ROOT}/f").stdout == "8192\n"


def test_a_flush_of_a_mapping_is_an_operation_and_its_stores_are_told(machine: Machine) -> None:
    """msync is stopped; the stores before it cannot be, and the run says that there were such."""
    run = finished(machine, started(machine, "m = mmap.mmap(fd, 8192); m[0] = 1; m.flush()"))

    assert keys(run) == ["file.msync f#1"]
    assert run.unseen == [
        "mmap of 'f': stores through a shared, writable mapping of a file that counts are no system calls (calls: 1)"
    ]


def test_a_new_mount_is_an_operation_where_its_super_block_is_made(machine: Machine) -> None:
    """fsconfig(CREATE) replays the journal: it is the boundary, named by the source, long before move_mount."""
    machine.run("sh", "-c", "truncate -s 16M /i && mkfs.ext4 -q /i && losetup /dev/loop5 /i").check()
    script = """
context = libc.syscall(430, b"ext4", 0)
assert libc.syscall(431, context, 1, b"source", b"/dev/loop5", 0) == 0
assert libc.syscall(431, context, 6, None, None, 0) == 0
mount = libc.syscall(432, context, 0, 0)
os.mkdir("m")
assert libc.syscall(429, mount, b"", -100, b"m", 4) == 0
fcntl.ioctl(os.open("m", 0), 0xC0045877, 0); fcntl.ioctl(os.open("m", 0), 0xC0045878, 0)  # FIFREEZE, FITHAW
os.system("umount m")
"""
    found = keys(finished(machine, started(machine, script)))

    assert [key for key in found if not key.startswith("exec")] == [
        "mount.create loop*#1",
        "file.mkdir m#1",
        "mount.mount m#1",
        "fs.freeze loop*#1",
        "fs.thaw loop*#1",
        "mount.umount m#1",
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("print(libc.syscall(425, 8, ctypes.create_string_buffer(120)), ctypes.get_errno())", "io_uring_setup: "),
        ("print(libc.syscall(0x40000000 | 39), ctypes.get_errno())", "system calls of x32: "),
        (
            "code = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE, 7); code.write(bytes.fromhex('b814000000cd80c3')); "  # getpid
            "call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code))); "
            "found = call(); print(-1 if found < 0 else found, -found)",
            "system calls of i386: ",
        ),
    ],
)
def test_what_would_pass_the_gate_by_is_refused_and_told(machine: Machine, script: str, said: str) -> None:
    """It fails with ENOSYS, so that libraries fall back; the run says what was refused and how often."""
    run = finished(machine, started(machine, script))

    assert run.stdout == "-1 38\n"
    assert len(run.unseen) == 1
    assert run.unseen[0].startswith(said) and run.unseen[0].endswith("(calls: 1)")


def test_the_last_thread_ends_the_driver_by_exit(machine: Machine) -> None:
    """exit(2) is not exit_group(2), and of the last thread it is the driver's end all the same."""
    run = finished(machine, started(machine, "libc.syscall(60, 3)"))

    assert (run.operations[-1].key, run.exit) == ("exit driver#1", 3)


def test_paths_are_looked_up_among_the_processs_own_mounts(machine: Machine) -> None:
    """After unshare(2) a path may lead elsewhere for the driver than for everybody else."""
    script = """
os.makedirs("a/there"); os.mkdir("b")
os.system("unshare -m sh -c 'mount --bind a b; mkdir b/there; mkdir b/new'")
"""
    found = keys(finished(machine, started(machine, script)))

    assert "file.mkdir b/new#1" in found
    assert "file.mkdir b/there#1" not in found  # it is there, for that shell


def test_with_reads_what_only_asks_is_an_operation_too(machine: Machine) -> None:
    """A gate that is asked for reads stops them with names of their own; all other keys stay as they are."""
    script = """
os.close(os.open("f", 0))
os.close(os.open("/dev/mapper/control", os.O_RDWR))
os.pipe()
if not os.fork(): os._exit(0)
os.wait()
os.mkdir("d")
disk = os.open("/dev/vda", 0); os.pread(disk, 512, 0); fcntl.ioctl(disk, 0x80081272, bytes(8))
"""
    plain = finished(machine, started(machine, script))
    machine.run("rm", "-r", ROOT).check()
    found = keys(finished(machine, started(machine, script, reads=True)))

    assert keys(plain) == ["file.mkdir d#1"]
    assert found == [
        "file.open f#1",
        "dev.open /dev/mapper/control#1",
        "process.pipe pipe#1",
        "process.clone child#1",
        "file.mkdir d#1",
        "dev.open /dev/vda#1",
        "dev.read /dev/vda#1",
        "dev.get-size /dev/vda#1",
    ]
