"""An orphan mkfs still runs when the driver starts again: its base is never used, and never deleted under it."""

from collections.abc import Callable

from crashinit.adapters.driven import Driven
from crashinit.model.observation import Run

# A mkfs that lives on when the driver that started it is killed: it is not the driver's own child.
WRAPPER = b"""#!/bin/sh
mke2fs -t ext4 "$@" &
wait
"""
# Lets the orphan go on once a second process holds the root open, and so asks for the lock that the orphan holds.
RELEASE = """
until [ $(ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c -- '-> {root}$') -ge 2 ]; do sleep 0.05; done
kill -CONT {pid}
"""


def test_orphan_mkfs_is_waited_for(driver: Driven, recovers: Callable[..., Run]) -> None:
    """A re-init that finds an orphan mkfs at work waits for its end, and then makes the base anew."""
    machine = driver.machine
    machine.run("rm", "/usr/sbin/mkfs.ext4").check()
    machine.put(WRAPPER, "/usr/sbin/mkfs.ext4", 0o755)
    state = driver.begin_init("dev.write base#3")
    orphan = state["operation"]["pid"]
    machine.run("kill", "-STOP", str(orphan)).check()  # it stops as soon as its held call returns
    killed = machine.call("gate_kill", gate=state["gate"], victim="process")
    driver.finish(state["gate"])
    release = RELEASE.format(root=driver.adapter.root, pid=orphan)
    machine.run("sh", "-c", f"({release}) >/dev/null 2>&1 &").check()

    run = driver.init()

    assert orphan in killed["survivors"]
    recovers(driver, run=run)


def test_own_mkfs_dies_with_the_driver(driver: Driven, recovers: Callable[..., Run]) -> None:
    """The driver's own mkfs does not outlive it, not even one that stands still: nobody is at the base any more."""
    state = driver.begin_init("dev.write base#3")
    driver.machine.run("kill", "-STOP", str(state["operation"]["pid"])).check()
    killed = driver.machine.call("gate_kill", gate=state["gate"], victim="process")
    driver.finish(state["gate"])

    recovers(driver)
    assert killed["survivors"] == []
