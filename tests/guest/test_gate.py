"""The gate in a real machine: stopping, killing, failing, and what becomes of orphans."""

from typing import Any

import pytest
from crashinit.errors import GuestError
from crashinit.machine.protocol import Machine, Template
from crashinit.model.observation import Run

ROOT = "/var/lib/test"
MAKE = f"mkdir {ROOT}; echo a > {ROOT}/a; mv {ROOT}/a {ROOT}/b; sync {ROOT}/b; exit 3"
MADE = [
    "exec mkdir#1",
    "file.mkdir .#1",
    "file.create a#1",
    "file.write a#1",
    "exec mv#1",
    "file.rename b#1",
    "exec sync#1",
    "file.fsync b#1",
    "exit driver#1",
]
# The read never returns, and no signal ends it.
HANG = "dmsetup create h --table '0 8 zero'; dmsetup suspend h; exec dd if=/dev/mapper/h of=/dev/null iflag=direct"
# It makes a file each time that the other process waits for it, and never ends by itself.
ORPHAN = f"mkdir -p {ROOT}; (while :; do : > {ROOT}/orphan; rm {ROOT}/orphan; done) & touch {ROOT}/main; wait"


def start(machine: Machine, script: str, stop: str | int = "never", deadline: float = 20.0) -> dict[str, Any]:
    state: dict[str, Any] = machine.call(
        "gate_start", argv=["sh", "-c", script], root=ROOT, deadline=deadline, stop=stop, env={}
    )
    return state


def finish(machine: Machine, state: dict[str, Any]) -> Run:
    return Run.model_validate(machine.call("gate_finish", gate=state["gate"]))


def exists(machine: Machine, path: str) -> bool:
    return machine.run("test", "-e", path).exit == 0


def test_operations_come_in_order_with_the_exit_last(machine: Machine) -> None:
    """A run lists what it changed, its children included, and how it ended."""
    run = finish(machine, start(machine, MAKE))

    assert [op.key for op in run.operations] == MADE
    assert (run.exit, run.timed_out) == (3, False)


def test_a_stopped_operation_has_not_run(machine: Machine) -> None:
    """At a stop the operation is still to come; after it is let go it has happened."""
    state = start(machine, MAKE, stop="file.rename b#1")

    assert (state["state"], state["operation"]["key"]) == ("stopped", "file.rename b#1")
    assert (exists(machine, f"{ROOT}/a"), exists(machine, f"{ROOT}/b")) == (True, False)

    state = machine.call("gate_resume", gate=state["gate"], stop="exec sync#1")

    assert state["operation"]["key"] == "exec sync#1"
    assert (exists(machine, f"{ROOT}/a"), exists(machine, f"{ROOT}/b")) == (False, True)
    assert finish(machine, state).exit == 3


def test_stopping_at_every_operation_changes_nothing(machine: Machine) -> None:
    """A run that is stopped everywhere has the same operations, and its deadline does not run while it is held."""
    state, stops = start(machine, MAKE, stop="every"), []
    while state["state"] == "stopped":
        stops.append(state["operation"]["key"])
        state = machine.call("gate_resume", gate=state["gate"], stop="every")

    assert stops == [op.key for op in finish(machine, state).operations]
    assert stops[-1] == "exit driver#1"


def test_a_killed_operation_never_runs(machine: Machine) -> None:
    """A process killed at a boundary leaves the operation undone, and the run says so."""
    state = start(machine, MAKE, stop="file.mkdir .#1")

    assert machine.call("gate_kill", gate=state["gate"], victim="tree") == {"survivors": []}

    run = finish(machine, state)
    assert (run.exit, run.operations[-1].detail["killed"]) == (-9, "tree")
    assert not exists(machine, ROOT)


def test_orphans_live_on_after_the_process_is_killed(machine: Machine) -> None:
    """`process` spares the children, which are served on; `tree` ends them too."""
    state = start(machine, ORPHAN, stop="exec touch#1")
    survivors = machine.call("gate_kill", gate=state["gate"], victim="process")["survivors"]

    assert survivors
    until = "until [ -e $0/orphan ]; do :; done; until [ ! -e $0/orphan ]; do :; done"
    assert machine.run("sh", "-c", until, ROOT, timeout=20.0).exit == 0  # it goes on making and removing
    assert machine.call("gate_kill", gate=state["gate"], victim="tree") == {"survivors": []}
    assert finish(machine, state).exit == -9


def test_a_child_that_dies_with_the_process_is_no_survivor(machine: Machine) -> None:
    """A parent-death signal kills like the gate does: who got it is waited for, and what it asked for never runs."""
    state = start(machine, f"setpriv --pdeathsig KILL mkdir {ROOT}; true", stop="file.mkdir .#1")
    # It comes to its death only when nobody else wants the machine's one CPU, so that its way out is a long one.
    machine.run("chrt", "--idle", "--pid", "0", str(state["operation"]["pid"])).check()
    machine.run("sh", "-c", "(timeout 20 sh -c 'while :; do :; done') >/dev/null 2>&1 &").check()

    assert machine.call("gate_kill", gate=state["gate"], victim="process") == {"survivors": []}

    run = finish(machine, state)
    assert (run.exit, run.operations[-1].detail["killed"]) == (-9, "process")
    assert not exists(machine, ROOT)


def test_a_run_is_finished_while_its_orphans_hold_its_output(machine: Machine) -> None:
    """Finishing waits for the command alone, and the probe shows who lives on."""
    run = finish(machine, start(machine, "echo said; sleep 15 & exit 0"))
    observed = machine.call("probe", spec={"root": ROOT, "format": "none"})

    assert (run.exit, run.stdout) == (0, "said\n")
    assert [process["argv"] for process in observed["processes"]] == [["sleep", "15"]]


def test_an_operation_fails_once(machine: Machine) -> None:
    """The failed call returns the error and does not run; the next of its kind does."""
    state = start(machine, f"mkdir {ROOT} || mkdir {ROOT}", stop="file.mkdir .#1")
    state = machine.call("gate_fail", gate=state["gate"], errno=28)
    run = finish(machine, state)

    assert "No space left on device" in run.stderr
    assert [op.detail.get("errno") for op in run.operations if op.kind == "file.mkdir"] == ["ENOSPC", None]
    assert exists(machine, ROOT)


def test_an_operation_fails_from_then_on(machine: Machine) -> None:
    """With `forever` each later operation of the kind and object fails too."""
    state = start(machine, f"mkdir {ROOT} || mkdir {ROOT}", stop="file.mkdir .#1")
    state = machine.call("gate_fail", gate=state["gate"], errno=5, forever=True)
    run = finish(machine, state)

    assert [op.detail.get("errno") for op in run.operations if op.kind == "file.mkdir"] == ["EIO", "EIO"]
    assert (run.exit, exists(machine, ROOT)) == (1, False)


def test_a_command_that_hangs_is_ended_at_its_deadline(machine: Machine) -> None:
    """The whole cgroup goes, and the run says why."""
    run = finish(machine, start(machine, "sleep 1000 & exec sleep 1000", deadline=0.5))

    assert (run.timed_out, run.exit) == (True, -9)
    assert machine.call("probe", spec={"root": ROOT, "format": "none"})["processes"] == []


def test_one_that_spins_is_told_from_one_that_waits(machine: Machine) -> None:
    """A run has the CPU time that it and its children used: all of it, or next to nothing."""
    busy = finish(machine, start(machine, "(while :; do :; done) & wait", deadline=1.0)).busy
    waits = finish(machine, start(machine, "sleep 1000 & wait", deadline=1.0)).busy

    assert busy is not None and waits is not None
    assert waits < 0.5 < busy


def test_a_fork_bomb_is_ended_at_its_deadline(machine: Machine) -> None:
    """A command cannot have as many processes as it takes to keep the machine from ending them."""
    state = start(machine, "b() { b | b & }; b; sleep 1000", deadline=3.0)

    assert (state["state"], state["exit"], state["timed_out"]) == ("ended", -9, True)
    assert finish(machine, state).timed_out
    assert machine.run("true").exit == 0


def test_a_command_that_hangs_in_the_kernel_is_given_up(machine: Machine) -> None:
    """Killed and still there, it has an end of its own: no exit status, no readiness; the agent goes on."""
    run = finish(machine, start(machine, HANG, deadline=5.0))

    assert (run.exit, run.timed_out, run.hung) == (None, True, True)
    observed = machine.call("probe", spec={"root": ROOT, "format": "none"})
    assert ["dd", "if=/dev/mapper/h", "of=/dev/null", "iflag=direct"] in [it["argv"] for it in observed["processes"]]


def test_the_gate_survives_what_it_cannot_decode(machine: Machine) -> None:
    """A call that the gate cannot read is the operation `unknown`, a boundary like any other, and the run goes on."""
    state = start(machine, f"mkdir {ROOT}; (: > {ROOT}/{'x' * 300}); mkdir {ROOT}/after", stop="unknown openat#1")

    assert state["operation"]["detail"]["error"].startswith("OSError: [Errno 36] File name too long")
    run = finish(machine, state)
    assert ("file.mkdir after#1" in [op.key for op in run.operations], run.exit) == (True, 0)
    assert "File name too long" in run.stderr


def test_a_command_begins_without_the_signals_that_python_ignores(machine: Machine) -> None:
    """SIGPIPE and SIGXFSZ end a command under the gate as they end it elsewhere."""
    assert "SigIgn:\t0000000000000000" in finish(machine, start(machine, "exec grep Sig /proc/self/status")).stdout


def test_a_program_that_does_not_exist(machine: Machine) -> None:
    """It is a sentence, and the agent goes on."""
    with pytest.raises(GuestError, match="no program 'nonesuch'"):
        machine.call("gate_start", argv=["nonesuch"], root=ROOT, deadline=5, stop="never", env={})
    assert machine.run("true").exit == 0


def test_uevents_are_on_the_runs_clock(machine: Machine) -> None:
    """A dm device that comes and goes is seen by kernel and udev, within the run's time."""
    script = "dmsetup create testdev --table '0 8 zero' && dmsetup remove testdev"
    run = finish(machine, start(machine, script))
    keys = [op.key for op in run.operations if op.kind.startswith("dm.")]

    assert [f"dm.{verb} testdev#1" for verb in ("create", "table-load", "resume", "remove")] == keys
    seen = [event for event in run.uevents if event.dm_name == "testdev"]
    assert {("kernel", "add"), ("kernel", "change"), ("udev", "change"), ("kernel", "remove")} <= {
        (event.source, event.action) for event in seen
    }
    assert all(event.seconds >= 0 for event in seen)


def test_a_clone_goes_on_where_the_run_was_held(template: Template) -> None:
    """A fork of a machine that holds an operation can kill there, while the original lets it run."""
    with template.clone(forkable=True) as machine:
        state = start(machine, MAKE, stop="file.rename b#1")
        with machine.fork() as fork, fork.clone() as clone:
            clone.call("gate_kill", gate=state["gate"], victim="tree")
            killed = finish(clone, state)
        assert (finish(machine, state).exit, killed.exit) == (3, -9)


CATCHES = f"trap 'echo caught > {ROOT}/caught; exit 7' TERM; mkdir -p {ROOT}; : > {ROOT}/a; : > {ROOT}/b; sleep 100"


def signalled(machine: Machine, script: str, stop: str, **arguments: object) -> Run:
    """The run of a script that got a signal while it was held there."""
    state = start(machine, script, stop=stop)
    machine.call(
        "gate_signal", timeout=120, gate=state["gate"], **{"signal": "SIGTERM", "kill_after": None, **arguments}
    )
    return finish(machine, state)


def test_a_signal_that_nobody_catches_ends_the_run_before_the_operation(machine: Machine) -> None:
    """The operation at which it was sent does not run."""
    run = signalled(machine, MAKE, "file.create a#1", victim="process")

    assert (run.exit, exists(machine, f"{ROOT}/a")) == (-15, False)
    assert {"signal": "SIGTERM", "killed": "process"}.items() <= run.operations[-1].detail.items()


def test_who_catches_a_signal_goes_on_with_the_operation(machine: Machine) -> None:
    """It runs, and then what the program does at its end."""
    run = signalled(machine, CATCHES, "file.create a#1", victim="process")

    assert (run.exit, exists(machine, f"{ROOT}/a"), exists(machine, f"{ROOT}/caught")) == (7, True, True)
    [struck] = [one for one in run.operations if "signal" in one.detail]
    assert (struck.key, "killed" in struck.detail) == ("file.create a#1", False)


def test_a_supervisor_kills_who_is_left(machine: Machine) -> None:
    """Who pays no heed to SIGTERM gets SIGKILL after so many seconds, and not before."""
    deaf = f"trap '' TERM; mkdir -p {ROOT}; : > {ROOT}/a; exec sleep 100"
    run = signalled(machine, deaf, "file.create a#1", victim="tree", kill_after=3.0)

    assert (run.exit, exists(machine, f"{ROOT}/a")) == (-9, True)
    assert 3.0 <= run.seconds < 10.0


def test_of_a_child_only_the_child_is_killed(machine: Machine) -> None:
    """The driver learns of it, and goes on; where the driver itself acts there is no child to kill."""
    run = signalled(
        machine, f"mkdir -p {ROOT}; echo $? > {ROOT}/status", "file.mkdir .#1", signal="SIGKILL", victim="child"
    )

    assert (run.exit, exists(machine, ROOT)) == (2, False)  # the shell cannot write into what was not made
    with pytest.raises(GuestError, match="the driver itself is about to act"):
        signalled(machine, f"mkdir -p {ROOT}; : > {ROOT}/a", "file.create a#1", victim="child")


@pytest.mark.parametrize("victim", ["process", "tree"])
def test_who_is_stopped_goes_on_later(machine: Machine, victim: str) -> None:
    """Nothing is lost but time."""
    state = start(machine, MAKE, stop="file.rename b#1")
    machine.call("gate_pause", timeout=120, gate=state["gate"], victim=victim, seconds=4.0)
    run = finish(machine, state)

    assert ([op.key for op in run.operations], run.exit) == (MADE, 3)
    assert run.seconds >= 4.0


def test_a_call_that_hangs_never_returns_and_others_go_on(machine: Machine) -> None:
    """The deadline ends the run; what its other processes did until then is there."""
    state = start(machine, f"mkdir -p {ROOT}/x; (mv {ROOT}/x {ROOT}/y) & wait", stop="file.rename y#1", deadline=5.0)
    machine.call("gate_hang", timeout=120, gate=state["gate"])
    run = finish(machine, state)

    assert (run.timed_out, exists(machine, f"{ROOT}/y")) == (True, False)
    assert run.operations[-1].detail["hangs"] == "for ever"
