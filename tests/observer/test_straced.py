"""The second observer reads what strace writes, and passes nothing over."""

import re
from collections import Counter

import pytest
from crashinit.model.observation import OperationRecord

from .compared import differences, of_gate
from .straced import Change, Reader, Seen, StraceError, moment

ROOT = "/var/lib/driver"
START = '1.0 execve("/usr/sbin/driver", ["driver"], 0x7ffd /* 5 vars */) = 0'


def read(*lines: str, **more: list[str]) -> Seen:
    """What a driver's first thread, and others by their ids, come to."""
    files = {1: [START, *lines], **{int(thread[1:]): text for thread, text in more.items()}}
    texts = {thread: "".join(f"{line}\n" for line in text) for thread, text in files.items()}
    return Reader(ROOT, {"/bin": "/usr/bin"}, {ROOT, f"{ROOT}/old"}).read(texts)


@pytest.mark.parametrize(
    ("line", "call", "thing"),
    [
        (f'mkdir("{ROOT}/new", 0700) = 0', "mkdir", f"{ROOT}/new"),
        ('mkdirat(5</var/lib>, "driver", 0700) = 0', "mkdirat", ROOT),
        (f'openat(AT_FDCWD</>, "{ROOT}/new", O_RDWR|O_CREAT, 0600) = 3<{ROOT}/new>', "openat", f"{ROOT}/new"),
        (f'openat(AT_FDCWD</>, "{ROOT}/old", O_WRONLY|O_CREAT|O_TRUNC) = 3<{ROOT}/old>', "openat", f"{ROOT}/old"),
        (f'write(5<{ROOT}/.tmp123>, "a \\") = 1, b", 9) = 9', "write", f"{ROOT}/.tmp*"),
        (f'write(5<{ROOT}/gone>(deleted), "", 0) = 0', "write", f"{ROOT}/gone"),
        ('pwrite64(4</dev/dm-1<block 253:1>>, "\\0\\0"..., 4096, 0) = 4096', "pwrite64", "/dev/dm-1"),
        (f'rename("/tmp/a", "{ROOT}/a") = 0', "rename", f"{ROOT}/a"),
        (f'renameat(3<{ROOT}>, "a", AT_FDCWD</>, "/tmp/a") = 0', "renameat", "/tmp/a"),
        (
            'ioctl(3</dev/mapper/control<char 10:236>>, DM_DEV_CREATE, {version=[4, 0, 0], data_size=16384, '
            'name="docker-254:0-9647-pool", flags=0} => {dev=makedev(0xfd, 0), name="docker-254:0-9647-pool"}) = 0',
            "ioctl DM_DEV_CREATE",
            "docker-*-pool",
        ),
        (
            f"ioctl(6</dev/loop0<block 7:0>>, LOOP_CONFIGURE, {{fd=5<{ROOT}/data>, block_size=0}}) = 0",
            "ioctl LOOP_CONFIGURE",
            "/dev/loop0",
        ),
        (f"ioctl(6<{ROOT}/data>, _IOC(_IOC_WRITE, 0x66, 0x10, 0x8), 0x7ffd) = 0",
         "ioctl _IOC(_IOC_WRITE, 0x66, 0x10, 0x8)", f"{ROOT}/data"),
        ('mount("/dev/dm-2", "/mnt/x", "ext4", 0, "") = 0', "mount", "/mnt/x"),
        ('execve("/bin/../bin/sh", ["sh"], 0x7ffd /* 5 vars */) = 0', "execve", "/usr/bin/sh"),
        ("sync() = 0", "sync", ""),
        ("semget(0xd4dfe2a, 1, IPC_CREAT|IPC_EXCL|0600) = 0", "semget", ""),
        ("semctl(0, 0, IPC_RMID, NULL) = 0", "semctl", ""),
        ("semtimedop(0, [{sem_num=0, sem_op=-1, sem_flg=IPC_NOWAIT}], 1, NULL) = 0", "semtimedop", ""),
        (
            "io_submit(0x7f, 2, [{aio_lio_opcode=IOCB_CMD_PREAD, aio_fildes=3</dev/sda<block 8:0>>, aio_nbytes=1}, "
            "{aio_lio_opcode=IOCB_CMD_PWRITE, aio_fildes=4</dev/sdb<block 8:1>>, aio_nbytes=1}]) = 2",
            "io_submit",
            "/dev/sdb",
        ),
        ("exit_group(0) = ?", "exit_group", ""),
    ],
)  # fmt: skip
def test_a_change_is_named(line: str, call: str, thing: str) -> None:
    """By its program, its call or request, and what it is aimed at, without what differs from run to run."""
    assert read(f"2.0 {line}").done == {Change("driver", call, thing): 1}


@pytest.mark.parametrize(
    "line",
    [
        f'openat(AT_FDCWD</>, "{ROOT}/old", O_RDWR|O_CREAT, 0600) = 3<{ROOT}/old>',  # there already
        f'openat(AT_FDCWD</>, "{ROOT}/old", O_RDONLY) = 3<{ROOT}/old>',
        'mkdir("/tmp/x", 0700) = 0',
        'write(1</dev/null<char 1:3>>, "x", 1) = 1',
        "write(5<socket:[123]>, \"x\", 1) = 1",
        'write(7<UNIX-STREAM:[12->34,"/run/a,b"]>, "a, b", 4) = 4',
        "ioctl(3</dev/mapper/control<char 10:236>>, DM_TABLE_STATUS, {version=[4, 0, 0]}) = 0",
        f"ioctl(3<{ROOT}/old>, TCGETS, 0x7ffd) = -1 ENOTTY (Inappropriate ioctl for device)",
        f"newfstatat(3<{ROOT}/old>, \"\", {{st_mode=S_IFREG|0600}}, AT_EMPTY_PATH) = 0",
    ],
)  # fmt: skip
def test_what_changes_nothing_is_no_change(line: str) -> None:
    """What is elsewhere, is there already, or only asks."""
    assert read(f"2.0 {line}").made == {}


@pytest.mark.parametrize(
    "line",
    ["semctl(0, 0, GETVAL, NULL) = 2", "semget(0xd4dfe2a, 1, 000) = 0", "semtimedop(0, [{sem_op=0}], 1, NULL) = 0"],
)
def test_a_look_at_a_semaphore_may_be_an_operation_and_need_not(line: str) -> None:
    """It changes nothing, but to wait at one is a place where a driver may be stopped."""
    seen = read(f"2.0 {line}")

    assert seen.done == {}
    assert sum(seen.made.values()) == 1


def test_a_call_that_failed_was_made_and_not_done() -> None:
    """It took no effect, so the gate need not have it, and may."""
    seen = read(f'2.0 rmdir("{ROOT}/old") = -1 ENOTEMPTY (Directory not empty)')

    assert (seen.done, seen.made) == ({}, {Change("driver", "rmdir", f"{ROOT}/old"): 1})
    assert differences(Counter(), seen) == differences(seen.made, seen) == []


def test_programs_and_directories_are_followed_from_thread_to_thread() -> None:
    """A child has its parent's program until it starts another, and a thread shares both with its process."""
    seen = read(
        f'2.0 chdir("{ROOT}") = 0',
        "3.0 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f) = 2",
        "3.1 clone3({flags=CLONE_VM|CLONE_THREAD, child_tid=0x7f}, 88) = 3",
        '9.0 chdir("/") = 0',
        t2=['4.0 mkdir("a", 0700) = 0', '5.0 execve("/usr/sbin/mkfs", ["mkfs"], 0x7f) = 0', '6.0 mkdir("b", 0700) = 0',
            "7.0 exit_group(0) = ?"],
        t3=['8.0 mkdir("c", 0700) = 0', '9.5 mkdir("d", 0700) = 0', "9.6 +++ exited with 0 +++"],
    )  # fmt: skip

    assert seen.done == {
        Change("driver", "mkdir", f"{ROOT}/a"): 1,
        Change("driver", "execve", "/usr/sbin/mkfs"): 1,
        Change("mkfs", "mkdir", f"{ROOT}/b"): 1,
        Change("driver", "mkdir", f"{ROOT}/c"): 1,
    }


def test_a_process_in_a_root_of_its_own_is_seen_from_outside() -> None:
    """After chroot(2) a path begins where the process's root lies."""
    seen = read(f'2.0 chroot("{ROOT}/old") = 0', '3.0 execve("/check", ["/check"], 0x7f) = 0')

    assert seen.done == {Change("driver", "execve", f"{ROOT}/old/check"): 1}


def test_the_end_of_the_driver_counts_once() -> None:
    """Two threads may both ask for it."""
    seen = read(
        "2.0 clone3({flags=CLONE_THREAD}, 88) = 2", "3.0 exit_group(0) = ?", t2=["3.1 exit_group(0 <unfinished ...>"]
    )
    twice = [operation("driver", "exit_group"), operation("driver", "exit_group")]

    assert differences(of_gate(twice), seen) == []
    assert seen.made == {Change("driver", "exit_group", ""): 1}


def test_a_call_that_no_table_knows_is_refused() -> None:
    """Nobody has thought about it, so it is not passed over; nor is a line that cannot be read."""
    with pytest.raises(StraceError, match="'frobnicate' is in no table"):
        read("2.0 frobnicate(1) = 0")
    with pytest.raises(StraceError, match="is no line of strace's"):
        read("2.0 mkdir(")
    with pytest.raises(StraceError, match="thread 9 came from nowhere"):
        read(t9=["2.0 sync() = 0"])


def test_a_daemon_is_followed_until_it_is_ready() -> None:
    """What a daemon does after its word is no part of its init."""
    text = (
        f'{START}\n2.0 sync() = 0\n3.0 write(2<pipe:[7]>, "API listen on /run\\n", 19) = 19\n4.0 sync() = 0\n5.0 sync('
    )
    ready = moment({1: text}, re.compile("^API listen"))

    assert ready == 3.0
    assert Reader(ROOT).read({1: text}, ready).done == {Change("driver", "sync", ""): 1}
    with pytest.raises(StraceError, match="no line like 'never'"):
        moment({1: text}, re.compile("never"))


def operation(program: str, syscall: str, **detail: str) -> OperationRecord:
    """An operation of the gate."""
    return OperationRecord(
        n=1, key="k", kind="k", object="o", detail={"syscall": syscall, **detail}, pid=1, program=program, seconds=0.0
    )


def test_what_one_observer_lacks_is_a_difference() -> None:
    """A change that the gate let pass, and an operation that nobody did, are both named."""
    gate = of_gate(
        [
            operation("driver", "mkdir", path=f"{ROOT}/a"),
            operation("driver", "ioctl", request="DM_DEV_CREATE", name="docker-254:0-99-pool"),
        ]
    )
    seen = read(f'2.0 mkdir("{ROOT}/a", 0700) = 0', "3.0 sync() = 0")

    assert differences(gate, seen) == [
        "the gate saw 0 of 1: driver: sync",
        "strace saw 0 of 1: driver: ioctl DM_DEV_CREATE docker-*-pool",
    ]
