"""Two inits at once on one root: both end, at least one with success, and the state passes (C16)."""

import shlex
from collections.abc import Callable

import pytest
from crashinit.adapters.driven import GRACE, Driven
from crashinit.contract.said import succeeded
from crashinit.machine.protocol import Machine
from crashinit.model.observation import Run

# Starts an init, and notes how it ended in one step.
BEGIN = """
sh -c 'echo $$ >/run/second.pid; exec {command}' >/run/second.out 2>&1 </dev/null && exit=0 || exit=$?
echo $exit >/run/second.new; mv /run/second.new /run/second.exit
"""
# Waits until it holds the root open, which is when it asks for the root's lock, or has ended for it.
HAS_BEGUN = """
until [ -e /run/second.exit ] || ls -l /proc/$(cat /run/second.pid)/fd | grep -q -- '-> {root}$'; do sleep 0.05; done
"""
HAS_ENDED = "until [ -e /run/second.exit ]; do sleep 0.05; done"


@pytest.mark.parametrize(
    "boundary",
    [
        "file.create devicemapper/data#1",
        "dm.create pool#1",
        "dm.message pool create_thin#1",
        "exec mkfs.ext4#1",
        "file.rename metadata/base#2",
    ],
)
def test_second_init_comes_while_the_first_is_at_work(
    boundary: str, machine: Machine, driver: Driven, recovers: Callable[..., Run]
) -> None:
    """A second init begins while the first stands at a boundary; then both go on, and the contract holds."""
    state = driver.begin_init(boundary)
    command = shlex.join(driver.adapter.command(driver.adapter.init, driver.setup.options))
    machine.run("sh", "-c", f"({BEGIN.format(command=command)}) >/dev/null 2>&1 &").check()
    machine.run("sh", "-c", HAS_BEGUN.format(root=driver.adapter.root), timeout=GRACE).check()
    machine.call("gate_resume", timeout=driver.setup.deadline + GRACE, gate=state["gate"], stop="never")
    first = driver.finish(state["gate"])
    machine.run("sh", "-c", HAS_ENDED, timeout=driver.setup.deadline + GRACE).check()
    second = ended(machine, driver, "second")

    assert state["operation"], f"'{boundary}' did not occur"
    judge_together([first, second], driver, recovers)


def test_inits_race_from_the_start(machine: Machine, driver: Driven, recovers: Callable[..., Run]) -> None:
    """Five inits are started together: at least one succeeds, the others end too, and the contract holds."""
    names = [f"init-{n}" for n in range(5)]
    command = shlex.join(driver.adapter.command(driver.adapter.init, driver.setup.options))
    started = " ".join(f"({command} >/run/{name}.out 2>&1; echo $? >/run/{name}.exit) &" for name in names)
    machine.run("sh", "-c", f"{started} wait", timeout=driver.setup.deadline + GRACE).check()

    judge_together([ended(machine, driver, name) for name in names], driver, recovers)


def ended(machine: Machine, driver: Driven, name: str) -> Run:
    """The record of an init that ran in the background, beside the gate."""
    return Run(
        argv=driver.adapter.command(driver.adapter.init, driver.setup.options),
        exit=int(machine.get(f"/run/{name}.exit")),
        timed_out=False,
        stdout="",
        stderr=machine.get(f"/run/{name}.out").decode(),
        seconds=0.0,
        operations=[],
        uevents=[],
    )


def judge_together(runs: list[Run], driver: Driven, recovers: Callable[..., Run]) -> None:
    """One that succeeded stands for the init; the others ran beside it."""
    best = next((run for run in runs if succeeded(run)), runs[0])
    recovers(driver, run=best, beside=[run for run in runs if run is not best])
