"""Daemons under the gate: when their init is over, what they do later, and how they are ended."""

from typing import Any

import pytest
from crashinit.errors import GuestError
from crashinit.machine.protocol import Machine
from crashinit.model.observation import Run

ROOT = "/var/lib/test"
TRAP = "trap 'echo bye; exit 5' TERM"
# The agent may poll five descriptors at once, and a gate has six (poll(2), EINVAL): with the next call of the daemon
# the gate fails. It cannot then open the file that kills its control group, but no call of the daemon succeeds.
BREAK = (
    "prlimit --nofile=5: --pid $PPID; while grep -q . /proc/$0/cmdline; do :; done; prlimit --nofile=1024: --pid $PPID"
)
LISTEN = "import signal,socket; s = socket.socket(socket.AF_UNIX); s.bind('/run/test.sock'); s.listen(); signal.pause()"


def start(machine: Machine, *argv: str, ready: dict[str, str], deadline: float = 20.0) -> dict[str, Any]:
    state: dict[str, Any] = machine.call(
        "gate_start", argv=list(argv), root=ROOT, deadline=deadline, stop="never", env={}, ready=ready
    )
    return state


def finish(machine: Machine, state: dict[str, Any]) -> Run:
    return Run.model_validate(machine.call("gate_finish", gate=state["gate"]))


def stop(machine: Machine, state: dict[str, Any]) -> Run:
    return Run.model_validate(machine.call("gate_stop", gate=state["gate"], deadline=20.0))


def test_a_daemon_is_ready_when_a_line_of_its_log_says_so(machine: Machine) -> None:
    """Its run is over and it lives; what it does from then on is no operation; SIGTERM ends it in order."""
    loop = "while :; do sleep 0.1; done"
    script = f"{TRAP}; mkdir {ROOT}; echo still not; echo now ready >&2; mkdir {ROOT}/later; {loop}"
    state = start(machine, "sh", "-c", script, ready={"log": "^now ready$"})
    run = finish(machine, state)

    assert (state["state"], run.exit, run.timed_out) == ("ended", None, False)
    assert "file.mkdir .#1" in [op.key for op in run.operations]
    until = machine.run("sh", "-c", "until test -d $0/later; do :; done", ROOT, timeout=20.0)
    assert until.exit == 0  # it is served on after its init

    ended = stop(machine, state)
    assert (ended.exit, ended.timed_out) == (5, False)
    assert ended.stdout.endswith("bye\n")
    assert machine.call("gate_stop", gate=state["gate"], deadline=1.0) is None


def test_a_gate_that_fails_after_the_init_is_told(machine: Machine) -> None:
    """What a daemon does when its gate is gone is not its own doing: whoever asks for its end gets the gate's error."""
    loop = f"while mkdir {ROOT}/later; do rmdir {ROOT}/later; done"  # ends when its calls fail
    state = start(machine, "sh", "-c", f"mkdir {ROOT}; echo $$; echo up; {loop}", ready={"log": "^up$"})
    pid = finish(machine, state).stdout.split()[0]
    assert machine.run("sh", "-c", BREAK, pid, timeout=60.0).exit == 0

    with pytest.raises(GuestError, match=r"the gate failed: OSError: .*Invalid argument"):
        stop(machine, state)
    assert machine.run("true").exit == 0


def test_a_line_without_an_end_is_no_line_yet(machine: Machine) -> None:
    """Half a line may still become another one."""
    state = start(machine, "sh", "-c", "printf ready; exec sleep 1000", ready={"log": "ready"}, deadline=1.0)

    assert (state["state"], state["timed_out"]) == ("ended", True)
    assert finish(machine, state).exit == -9


def test_a_pattern_without_end_does_not_hold_the_agent(machine: Machine) -> None:
    """The deadline is kept although the match of a line goes on for ever, and the agent answers."""
    script = f"echo {'a' * 40}!; exec sleep 1000"
    state = start(machine, "sh", "-c", script, ready={"log": "^(a+)+$"}, deadline=2.0)

    assert (state["state"], state["timed_out"]) == ("ended", True)
    assert finish(machine, state).exit == -9


def test_a_file_must_be_newer_than_the_run(machine: Machine) -> None:
    """What an earlier run left behind does not count; the same file written anew does."""
    machine.put(b"old", "/run/test.ready")
    script = "sleep 0.2; mkdir $0; echo new > /run/test.ready; exec sleep 1000"
    state = start(machine, "sh", "-c", script, ROOT, ready={"file": "/run/test.ready"})
    run = finish(machine, state)

    assert (run.exit, machine.run("test", "-d", ROOT).exit) == (None, 0)
    assert stop(machine, state).exit == -15


def test_a_socket_must_have_a_listener(machine: Machine) -> None:
    """The socket that a killed daemon left behind does not count."""
    first = start(machine, "python3", "-c", LISTEN, ready={"socket": "/run/test.sock"})
    assert finish(machine, first).exit is None
    machine.call("gate_stop", gate=first["gate"], deadline=20.0)
    assert machine.run("test", "-S", "/run/test.sock").exit == 0

    second = start(machine, "sleep", "1000", ready={"socket": "/run/test.sock"}, deadline=1.0)
    assert second["timed_out"]


def test_a_daemon_that_ends_before_it_is_ready(machine: Machine) -> None:
    """It is an init that ended, with the exit status that it has."""
    state = start(machine, "sh", "-c", "echo wrong; exit 3", ready={"log": "ready"})
    run = finish(machine, state)

    assert (run.exit, run.stdout) == (3, "wrong\n")
    assert machine.call("gate_stop", gate=state["gate"], deadline=1.0) is None


def test_a_daemon_that_does_not_end_is_killed_at_the_deadline(machine: Machine) -> None:
    """A daemon that ignores SIGTERM is no orderly end, and nothing of it lives on."""
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    state = start(machine, "sh", "-c", script, ready={"log": "ready"})
    assert finish(machine, state).exit is None
    ended = Run.model_validate(machine.call("gate_stop", gate=state["gate"], deadline=0.5))

    assert (ended.timed_out, ended.exit) == (True, -9)
    assert machine.call("probe", spec={"root": ROOT, "format": "none"})["processes"] == []


def test_a_daemon_is_held_and_killed_like_any_run(machine: Machine) -> None:
    """A boundary before it is ready stops it."""
    state = machine.call(
        "gate_start",
        argv=["sh", "-c", f"mkdir {ROOT}; echo ready; exec sleep 1000"],
        root=ROOT,
        deadline=20.0,
        stop="file.mkdir .#1",
        env={},
        ready={"log": "ready"},
    )
    assert state["state"] == "stopped"
    machine.call("gate_kill", gate=state["gate"], victim="tree")

    assert finish(machine, state).exit == -9
    assert machine.run("test", "-d", ROOT).exit == 1


@pytest.mark.parametrize("ready", [{"smoke": "x"}, {"log": "a", "file": "b"}])
def test_a_condition_that_is_none(machine: Machine, ready: dict[str, str]) -> None:
    """It is refused, and the agent goes on."""
    with pytest.raises(Exception, match="ready condition has one of the keys 'log', 'file', 'socket'"):
        start(machine, "true", ready=ready)
    assert machine.run("true").exit == 0
