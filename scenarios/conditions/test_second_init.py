"""Faults that are no kill at a boundary, written in Python with the fixtures `machine` and `driver`."""

from crashinit.adapters.driven import Driven
from crashinit.machine.protocol import Machine


def test_init_after_reboot_finds_the_same_base(machine: Machine, driver: Driven) -> None:
    """After a reboot, init brings back the pool with the base that it had, and makes no file system anew."""
    assert driver.init().exit == 0
    before = driver.observe()

    machine.reboot()
    again = driver.init()
    after = driver.observe()

    assert again.exit == 0
    assert [operation.key for operation in again.operations if operation.object.startswith("mkfs")] == []
    assert before.base is not None
    assert after.base is not None
    assert after.base.uuid == before.base.uuid
    assert after.base.check_exit == 0


def test_init_without_udevd(machine: Machine, driver: Driven) -> None:
    """Without udevd, init succeeds all the same and leaves no cookie semaphore behind."""
    machine.run("udevadm", "control", "--stop-exec-queue").check()
    machine.run("pkill", "-STOP", "systemd-udevd").check()

    run = driver.init()
    seen = driver.observe()

    assert run.exit == 0, run.stderr
    assert seen.semaphores == []
    assert seen.base is not None
    assert seen.base.check_exit == 0
