"""Somebody else in a real machine: what each takes, what that keeps from others, and how it lets go."""

import pytest
from crashinit.machine.protocol import Machine

DEVICE = """
truncate -s 16M /run/disk && loop=$(losetup --find --show /run/disk) && mkfs.ext4 -q $loop &&
dmsetup create held --table "0 32768 linear $loop 0" && udevadm settle
"""


def opened(machine: Machine) -> int:
    """How often the device is open."""
    return int(machine.run("dmsetup", "info", "-c", "--noheadings", "-o", "open", "held").check().stdout)


@pytest.mark.parametrize("kind", ["holder", "reader", "mount"])
def test_who_holds_a_device_keeps_it_from_being_removed(machine: Machine, kind: str) -> None:
    """Until it lets go; then it is as it was."""
    machine.run("sh", "-c", DEVICE).check()
    got = machine.call("actor_begin", timeout=90, kind=kind)["got"]

    assert "held" in got
    assert opened(machine) == 1
    assert "busy" in machine.run("dmsetup", "remove", "held").stderr.lower()

    machine.call("actor_release")

    assert machine.call("actor_end", timeout=90)["lost"] == []
    assert opened(machine) == 0
    machine.run("dmsetup", "remove", "held").check()


@pytest.mark.parametrize("kind", ["holder", "reader", "mount"])
def test_where_there_is_nothing_nothing_is_taken(machine: Machine, kind: str) -> None:
    """That is said, so that a trial of it does not count as one that fired."""
    assert machine.call("actor_begin", timeout=90, kind=kind)["got"] == []


def test_one_lets_go_after_a_while(machine: Machine) -> None:
    """In the midst of what happens meanwhile."""
    machine.run("sh", "-c", DEVICE).check()
    machine.call("actor_begin", timeout=90, kind="holder")
    machine.call("actor_release", delay=2.0)

    assert opened(machine) == 1
    machine.run("sh", "-c", "while dmsetup info -c --noheadings -o open held | grep -q 1; do sleep 0.1; done").check()
    assert machine.call("actor_end", timeout=90)["lost"] == []


@pytest.mark.parametrize(
    ("harm", "lost"),
    [
        ("true", []),
        ("dmsetup remove crashinit-other", ["'crashinit-other' was removed"]),
        ("dmsetup remove crashinit-other; losetup -D", ["'crashinit-other' was removed", "was detached"]),
    ],
)
def test_what_another_owner_has_made_is_missed(machine: Machine, harm: str, lost: list[str]) -> None:
    """By its name, and nothing stays behind."""
    assert "crashinit-other" in machine.call("actor_begin", timeout=90, kind="other-owner")["got"]
    machine.run("sh", "-c", f"udevadm settle; {harm}").check()
    machine.call("actor_release")
    told = machine.call("actor_end", timeout=90)["lost"]

    assert [part for part, said in zip(lost, told, strict=True) if part not in said] == []
    assert machine.run("losetup", "--all").stdout == ""


@pytest.mark.parametrize(("command", "got"), [("exit 0", True), ("exit 1", False), ("sleep 1000", True)])
def test_a_command_got_what_it_wanted_unless_it_failed(machine: Machine, command: str, got: bool) -> None:
    """One that goes on holds something, and ends when it is to let go."""
    answer = machine.call("actor_begin", timeout=90, kind="command", command=command)
    machine.call("actor_release")

    assert answer["got"] == ([command] if got else [])
    assert machine.call("actor_end", timeout=90)["lost"] == []
    assert machine.run("pgrep", "-x", "sleep").exit == 1
