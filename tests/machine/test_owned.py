"""Nothing outlives its owner."""

import os
import pwd
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


def test_another_user() -> None:
    """A child runs as the user that it is given, in that user's groups alone, and dies with its owner all the same."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    entry = pwd.getpwnam("nobody")
    code = (
        "import os; from crashinit.machine import owned;"
        "argv = ['sh', '-c', 'echo $$; id -u; id -g; id -G; exec sleep 1000'];"
        "child = owned.spawn(argv, stdout=1, user=owned.unprivileged());"
        "import sys; sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout is not None
        pid, *ids = [one.stdout.readline().strip() for _ in range(4)]
        one.send_signal(signal.SIGKILL)
        await_end(int(pid))

    assert ids == [str(entry.pw_uid), str(entry.pw_gid), str(entry.pw_gid)]


def test_a_namespace_without_other_users() -> None:
    """Root of a user namespace that knows nobody else has no rights to give up, and stays who it is."""
    code = "from crashinit.machine import owned; print(owned.unprivileged())"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("this host lets nobody make user namespaces")

    assert done.stdout == "None\n"


@pytest.mark.parametrize(
    ("mode", "own_group", "may"),
    [(0o666, False, True), (0o660, True, True), (0o660, False, False), (0o640, True, False)],
)
def test_who_may_open_a_device(tmp_path: Path, mode: int, own_group: bool, may: bool) -> None:
    """A user joins a device's group where that helps, and the device's permission bits then decide."""
    device = tmp_path / "device"
    device.touch()
    device.chmod(mode)
    group = device.stat().st_gid

    assert owned.User(65534, group if own_group else 65534).may_open(device) is may


def test_a_device_group_is_joined(tmp_path: Path) -> None:
    """The group of a device is joined if it may open it, and never if it is root's."""
    device = tmp_path / "device"
    device.touch()
    device.chmod(0o660)
    if os.geteuid() == 0:
        assert owned.User(65534, 65534).joining(device).groups == ()
        os.chown(device, 0, 4242)
    group = device.stat().st_gid
    assert owned.User(65534, 65534).joining(device).groups == (group,)

    device.chmod(0o600)
    assert owned.User(65534, 65534).joining(device).groups == ()


def test_an_interruption_is_put_off() -> None:
    """What must be whole goes on to its end when it is interrupted; the interruption comes then, and is not lost."""
    done: list[str] = []

    with pytest.raises(KeyboardInterrupt), owned.not_interrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("all of it")

    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
