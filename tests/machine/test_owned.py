"""Nothing outlives its owner."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from crashinit.machine import owned
from crashinit.machine.protocol import Template

OWNER = """
import sys
from crashinit.machine.provider import get_provider

template = get_provider("qemu").template()
machine = template.clone(forkable=True)
fork = machine.fork()
other = fork.clone()
print(machine.pid, other.pid, flush=True)
sys.stdin.read()
"""


def await_end(pid: int) -> None:
    """Return when the process `pid`, not a child of ours, is gone or a zombie that nobody has reaped yet."""
    descriptor = os.pidfd_open(pid)  # becomes readable at the process's end
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(30_000), f"process {pid} still runs"
    finally:
        os.close(descriptor)


def test_machines_die_with_a_killed_owner(template: Template) -> None:
    """SIGKILL of the harness ends its QEMUs, and leaves nothing in tmpfs nor in the cache's directory."""
    cache = Path(os.environ.get("CRASHINIT_CACHE") or Path.home() / ".cache" / "crashinit")
    shared = Path("/dev/shm")
    before = {path.name for path in (*cache.iterdir(), *shared.iterdir())}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        machines = [int(pid) for pid in owner.stdout.readline().split()]
        programs = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in machines]
        owner.send_signal(signal.SIGKILL)
        for pid in machines:
            await_end(pid)

    assert programs == ["qemu-system-x86"] * 2
    assert {path.name for path in (*cache.iterdir(), *shared.iterdir())} - before == set()


def test_children_outlive_the_thread_that_asked() -> None:
    """A child lives on when the thread that asked for it ends: only the process's end ends it."""
    children: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: children.append(owned.spawn(["cat"], stdin=subprocess.PIPE)))
    thread.start()
    thread.join()
    (child,) = children
    assert child.stdin is not None
    child.stdin.close()

    # `cat` ends by itself, at the end of its input, and by no signal.
    assert child.wait(30) == 0


def test_missing_program() -> None:
    """A program that does not exist is the caller's error, not a dead child."""
    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        owned.spawn(["/no/such/program"])
