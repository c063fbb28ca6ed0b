"""The same crash, made by other means: the driver is killed before it starts mkfs, and initialised once more.

A fork of a recorded init is the product's way. Each of the others pays for an init from its start: in a clone, in a
machine that boots (provider 'qemu-cold'), or under strace(1), which injects a signal and knows no tree of processes.
benchmarks/providers.py has Vagrant's snapshots.
"""

import statistics
import time
from collections.abc import Callable

from crashinit.adapters import load
from crashinit.adapters.driven import Driven
from crashinit.contract.said import succeeded
from crashinit.machine.protocol import Machine, Template
from crashinit.machine.provider import get_provider
from crashinit.model.trial import Point, Setup, Trial
from crashinit.trial.runner import TrialRunner

FRESH = Setup("fresh", (), 60.0)
BEFORE = "exec mkfs.ext4#1"
PROGRAM = "/usr/sbin/mkfs.ext4"
ROUNDS = 3
STRACE = ("strace", "-f", "-q", "-o", "/dev/null", "-P", PROGRAM, "-e", "inject=execve:signal=KILL")


def main() -> None:
    """Measure and print, each as a ratio to a fork's."""
    driver = load("reference")
    own = get_provider("qemu", note=print)
    with TrialRunner(own, driver) as runner:
        template = runner.given(FRESH).template
        ways: dict[str, Callable[[], object]] = {
            "a fork of a recorded init": lambda: _forked(runner),
            "an init from its start in a clone": lambda: _again(runner, template),
        }
        with (
            own.template((*driver.install.packages, "strace")) as base,
            base.derive(driver.installed) as traced,
            TrialRunner(get_provider("qemu-cold", note=print), driver) as cold,
        ):
            ways["the same under strace, which injects the kill"] = lambda: _by_strace(runner, traced)
            ways["the same in a machine that boots"] = lambda: _again(cold, cold.driver_template())
            _forked(runner)  # records the init, which all trials of a worker share
            seconds: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(ROUNDS):  # in turns, so that a slow minute hits all of them
                for way, crash in ways.items():
                    begin = time.monotonic()
                    crash()
                    seconds[way].append(time.monotonic() - begin)
    print(f"a kill before '{BEFORE}', and init once more")
    fork = statistics.median(seconds["a fork of a recorded init"])
    for way, taken in seconds.items():
        print(f"  {way:<46}{statistics.median(taken):6.2f} s   {statistics.median(taken) / fork:5.1f} times a fork")


def _forked(runner: TrialRunner) -> None:
    trial = Trial("peers", "reference", "peers", FRESH, Point("", "before", 0, BEFORE), "kill", "tree", 1)
    with runner.held(trial) as (recording, driven):
        runner.strike(driven, recording.state["gate"], trial)
        _converge(driven)


def _again(runner: TrialRunner, template: Template) -> None:
    with template.clone() as machine:
        driven = Driven(machine, runner.adapter, FRESH)
        gate = driven.begin_init(BEFORE)["gate"]
        machine.call("gate_kill", gate=gate, victim="tree")
        driven.finish(gate)
        _converge(driven)


def _by_strace(runner: TrialRunner, template: Template) -> None:
    with template.clone() as machine:
        ended = _strace(machine, runner)
        if ended == 0:
            raise SystemExit("make bench: strace did not strike: the driver's init succeeded under it.")
        _converge(Driven(machine, runner.adapter, FRESH))


def _strace(machine: Machine, runner: TrialRunner) -> int | None:
    argv = runner.adapter.command(runner.adapter.init, FRESH.options)
    return machine.run(*STRACE, *argv, timeout=FRESH.deadline).exit


def _converge(driven: Driven) -> None:
    run = driven.init()
    if not succeeded(run):
        raise SystemExit(f"make bench: the init after the kill failed: {run.stderr.strip()}")


if __name__ == "__main__":
    main()
