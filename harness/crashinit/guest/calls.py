"""Which system calls of x86-64 are stopped, under which condition, and why those are not that could change storage.

    python -m crashinit.guest.calls    prints the whole table, as docs/syscalls.md holds it

Sources: <asm/unistd_64.h>, <asm-generic/fcntl.h>, <linux/mount.h>, <sys/mman.h>, <sys/sem.h>, the manual page of each
call. Another architecture needs another table of numbers, nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .requests import CHANGING, QUERIES

# Names by number: 0 to 334, then 424 to 469; the numbers between are another architecture's.
FROM_0 = """
    read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask
    rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield mremap msync mincore madvise
    shmget shmat shmctl dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile socket connect accept
    sendto recvfrom sendmsg recvmsg shutdown bind listen getsockname getpeername socketpair setsockopt getsockopt
    clone fork vfork execve exit wait4 kill uname semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl
    flock fsync fdatasync truncate ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink
    symlink readlink chmod fchmod chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times ptrace
    getuid syslog getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid setreuid setregid getgroups
    setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid getsid capget capset rt_sigpending
    rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime mknod uselib personality ustat statfs fstatfs
    sysfs getpriority setpriority sched_setparam sched_getparam sched_setscheduler sched_getscheduler
    sched_get_priority_max sched_get_priority_min sched_rr_get_interval mlock munlock mlockall munlockall vhangup
    modify_ldt pivot_root _sysctl prctl arch_prctl adjtimex setrlimit chroot sync acct settimeofday mount umount2
    swapon swapoff reboot sethostname setdomainname iopl ioperm create_module init_module delete_module
    get_kernel_syms query_module quotactl nfsservctl getpmsg putpmsg afs_syscall tuxcall security gettid readahead
    setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr
    lremovexattr fremovexattr tkill time futex sched_setaffinity sched_getaffinity set_thread_area io_setup
    io_destroy io_getevents io_submit io_cancel get_thread_area lookup_dcookie epoll_create epoll_ctl_old
    epoll_wait_old remap_file_pages getdents64 set_tid_address restart_syscall semtimedop fadvise64 timer_create
    timer_settime timer_gettime timer_getoverrun timer_delete clock_settime clock_gettime clock_getres
    clock_nanosleep exit_group epoll_wait epoll_ctl tgkill utimes vserver mbind set_mempolicy get_mempolicy
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr kexec_load waitid add_key request_key
    keyctl ioprio_set ioprio_get inotify_init inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat
    mknodat fchownat futimesat newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat
    pselect6 ppoll unshare set_robust_list get_robust_list splice tee sync_file_range vmsplice move_pages
    utimensat epoll_pwait signalfd timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4
    signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo perf_event_open
    recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at open_by_handle_at clock_adjtime syncfs
    sendmmsg setns getcpu process_vm_readv process_vm_writev kcmp finit_module sched_setattr sched_getattr
    renameat2 seccomp getrandom memfd_create kexec_file_load bpf execveat userfaultfd membarrier mlock2
    copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx io_pgetevents rseq
"""
FROM_424 = """
    pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig fsmount
    fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise epoll_pwait2 mount_setattr
    quotactl_fd landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret process_mrelease
    futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue
    statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat
    listxattrat removexattrat open_tree_attr file_getattr file_setattr
"""
SYSCALLS = {
    name: number for first, names in ((0, FROM_0), (424, FROM_424)) for number, name in enumerate(names.split(), first)
}
X32 = 0x40000000  # the numbers from here on are those of the x32 ABI

O_CREAT, O_TRUNC, O_TMPFILE_BIT = 0o100, 0o1000, 0o20000000
PROT_WRITE, MAP_SHARED, MAP_ANONYMOUS = 2, 1, 0x20
FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE, FSCONFIG_CMD_RECONFIGURE, FSCONFIG_CMD_CREATE_EXCL = 1, 6, 7, 8
IPC_RMID, SETVAL = 0, 16
DM_COOKIE = 0x0D4D0000  # <libdevmapper.h>: the upper half of the key of a udev cookie's semaphore


@dataclass(frozen=True)
class AnyBit:
    """Argument `arg` has one of the bits of `mask`."""

    arg: int
    mask: int


@dataclass(frozen=True)
class NoBit:
    """Argument `arg` has none of the bits of `mask`."""

    arg: int
    mask: int


@dataclass(frozen=True)
class OneOf:
    """The bits of `mask` in the low half of argument `arg` make one of `values`."""

    arg: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF


Condition = AnyBit | NoBit | OneOf
Rule = tuple[Condition, ...]  # all must hold; none: each such call is stopped


def _calls(names: str, *rule: Condition) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


TYPE_AND_NUMBER = 0xFFFF  # of an ioctl request: device-mapper looks at these alone, whatever size the request names
CREATES = O_CREAT | O_TRUNC | O_TMPFILE_BIT

# What changes storage. The conditions are tried in the kernel, so that frequent harmless calls cost nothing. Writes
# have none: a shell writes a file through descriptor 1.
STOPPED: dict[str, Rule] = {
    **_calls("write pwrite64 writev pwritev pwritev2 sendfile copy_file_range splice io_submit"),
    **_calls("truncate ftruncate fallocate fsync fdatasync sync syncfs sync_file_range msync"),
    **_calls("creat mknod mknodat mkdir mkdirat rmdir link linkat symlink symlinkat unlink unlinkat"),
    **_calls("rename renameat renameat2 openat2"),
    **_calls("open", AnyBit(1, CREATES)),
    **_calls("openat", AnyBit(2, CREATES)),
    **_calls("chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat"),
    **_calls("setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat"),
    **_calls("file_setattr"),
    **_calls("mount umount2 move_mount mount_setattr pivot_root swapon swapoff"),
    **_calls(
        "fsconfig",
        OneOf(1, (FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE, FSCONFIG_CMD_RECONFIGURE, FSCONFIG_CMD_CREATE_EXCL)),
    ),
    **_calls("ioctl", OneOf(1, tuple(sorted(CHANGING)), TYPE_AND_NUMBER)),
    **_calls("semget", OneOf(0, (DM_COOKIE,), 0xFFFF0000)),
    **_calls("semctl", OneOf(2, (IPC_RMID, SETVAL))),
    **_calls("semop semtimedop execve execveat exit exit_group"),
}

# What only asks, or makes no more than a process: points for errors, never boundaries of a kill.
READS: dict[str, Rule] = {
    **_calls("open openat read pread64 readv preadv preadv2"),
    **_calls("fork vfork clone clone3 pipe pipe2"),
    **_calls("ioctl", OneOf(1, tuple(sorted({*CHANGING, *QUERIES})), TYPE_AND_NUMBER)),
}

# What could change storage unseen. A call is let run and counted, and a run says so.
COUNTED: dict[str, Rule] = {
    **_calls("mmap", AnyBit(2, PROT_WRITE), AnyBit(3, MAP_SHARED), NoBit(3, MAP_ANONYMOUS)),
    **_calls("bpf init_module finit_module delete_module add_key keyctl quotactl quotactl_fd open_by_handle_at"),
}
WHY_COUNTED: dict[str, str] = {
    "mmap": "stores through a shared, writable mapping of a file that counts are no system calls",
    "bpf": "a program in the kernel may do anything",
    "init_module": "a module may do anything",
    "finit_module": "a module may do anything",
    "delete_module": "a module may do anything when it goes",
    "add_key": "keys of encrypted file systems",
    "keyctl": "keys of encrypted file systems",
    "quotactl": "limits of a file system",
    "quotactl_fd": "limits of a file system",
    "open_by_handle_at": "opens a file by no path; what is done to it then is seen by its descriptor",
}

# What would pass the gate by: it fails with ENOSYS, as on a kernel without it, so that libraries fall back.
REFUSED: dict[str, Rule] = _calls("io_uring_setup")
WHY_REFUSED = {"io_uring_setup": "a ring writes, syncs and renames without system calls"}

# Others that a reader may look for.
WHY_NOT: dict[str, str] = {
    "vmsplice": "one of its ends is memory, the other a pipe",
    "tee": "both of its ends are pipes",
    "munmap": "what a shared mapping was given is counted at mmap",
    "mremap": "what a shared mapping was given is counted at mmap",
    "mprotect": "may make a shared mapping writable later, uncounted",
    "io_uring_enter": "there is no ring to enter",
    "io_uring_register": "there is no ring to register with",
    "fsopen": "makes a descriptor; what counts is fsconfig",
    "fspick": "makes a descriptor; what counts is fsconfig",
    "fsmount": "makes a descriptor; what counts is fsconfig and move_mount",
    "open_tree": "makes a descriptor; what counts is move_mount",
    "open_tree_attr": "makes a descriptor; what counts is move_mount",
    "flock": "a lock ends with its holder",
    "fcntl": "a lock ends with its holder",
    "chroot": "paths are looked up in the process's own root",
    "unshare": "paths are looked up among the process's own mounts",
    "setns": "paths are looked up among the process's own mounts",
    "sendto": "a request to a process outside is that process's doing",
    "sendmsg": "a request to a process outside, or over netlink to the kernel",
    "sendmmsg": "a request to a process outside, or over netlink to the kernel",
    "ptrace": "changes another process, whose calls are stopped themselves",
    "process_vm_writev": "changes another process, whose calls are stopped themselves",
    "close": "what was written before counts",
    "io_setup": "makes a queue; what counts is io_submit",
    "reboot": "ends the machine, not the driver",
    "seccomp": "a filter of the driver's own with user notification is refused by the kernel with EBUSY",
}


def stopped(*, reads: bool) -> Mapping[str, Rule]:
    """All that reaches the supervisor, with or without the points that are for errors alone."""
    known = {*CHANGING, *(QUERIES if reads else ())}  # a family's part may have brought some
    requests = _calls("ioctl", OneOf(1, tuple(sorted(known)), TYPE_AND_NUMBER))
    return {**COUNTED, **REFUSED, **STOPPED, **(READS if reads else {}), **requests}


def treatment(name: str) -> tuple[str, str]:
    """What becomes of a call, and why or when."""
    if name in REFUSED:
        return "refused", f"ENOSYS: {WHY_REFUSED[name]}"
    if name in COUNTED:
        return "counted", WHY_COUNTED[name]
    if name in STOPPED:
        when = said(STOPPED[name])
        return ("stopped", f"{when}; else for errors only" if name in READS else when) if when else ("stopped", "")
    if name in READS:
        return "for errors only", said(READS[name])
    return "no", WHY_NOT.get(name, "")


def said(rule: Rule) -> str:
    """A rule in words."""
    words = []
    for condition in rule:
        if isinstance(condition, OneOf):
            if len(condition.values) > 8:
                what = f"of {len(condition.values)} kinds"
            else:
                what = " or ".join(f"{value:#x}" for value in condition.values)
            under = "" if condition.mask == 0xFFFFFFFF else f" under {condition.mask:#x}"
            words.append(f"if argument {condition.arg + 1}{under} is {what}")
        else:
            has = "has a bit" if isinstance(condition, AnyBit) else "has no bit"
            words.append(f"if argument {condition.arg + 1} {has} of {condition.mask:#o}")
    return ", ".join(words)


def page() -> str:
    """docs/syscalls.md."""
    lines = [
        "# The system calls of x86-64, and what the gate does with them",
        "",
        "Made by `python -m crashinit.guest.calls`. *stopped*: it is decoded, and an operation if it changes what",
        "concerns the driver. *for errors only*: it changes nothing; it is stopped where an error may be injected.",
        "*counted*: it runs, and the run says how often. *refused*: it fails with ENOSYS, and the run says how often.",
        "[limits.md](limits.md) says what all this does not see.",
        "",
        "| number | name | stopped | when, or why |",
        "|---:|---|---|---|",
    ]
    lines += [f"| {number} | `{name}` | {' | '.join(treatment(name))} |" for name, number in SYSCALLS.items()]
    lines += [
        "| each | of i386 and x32 | refused | ENOSYS: their numbers and arguments are not decoded |",
        "",
        "## The requests of ioctl",
        "",
        "A request is known by its type and number, whatever size it names.",
        "",
        "| request | type and number | stopped | operation |",
        "|---|---:|---|---|",
    ]
    for found, how in ((CHANGING, "stopped"), (QUERIES, "for errors only")):
        for code, requests in sorted(found.items()):
            lines += [f"| `{request.name}` | {code:#06x} | {how} | `{request.kind}` |" for request in requests]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(page(), end="")
