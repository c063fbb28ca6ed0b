"""`make profile`: where the seconds of one trial go, on the host and in the guest.

A trial is run a few times; the table is of the run in the middle. "host" is what the harness waits, "guest" what QEMU's
process computes meanwhile (its CPU time, proc(5)): what a part waits beyond that is the harness's own, or idle.
"""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crashinit.adapters import load
from crashinit.faults import planned
from crashinit.machine.protocol import Machine
from crashinit.machine.provider import get_provider
from crashinit.machine.qemu.template import QemuMachine
from crashinit.model.trial import Setup
from crashinit.scenario.scenario import Scenario
from crashinit.trial.runner import TrialRunner

FRESH = Setup("fresh", (), 60.0)
RUNS = 3
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Part:
    """What one kind of call cost in one trial."""

    calls: int = 0
    host: float = 0.0
    guest: float = 0.0


@dataclass
class Profile:
    """What each kind of call to a machine cost in one trial."""

    parts: dict[str, Part] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str, pid: int) -> Iterator[None]:
        """Add what happens inside to the part of that name; `pid`: of the machine's QEMU."""
        part = self.parts.setdefault(name, Part())
        host, guest = time.monotonic(), cpu(pid)
        try:
            yield
        finally:
            part.calls += 1
            part.host += time.monotonic() - host
            part.guest += max(0.0, cpu(pid) - guest)

    def table(self, whole: float) -> str:
        """The parts, the largest first, and what is left of the whole."""
        rows = sorted(self.parts.items(), key=lambda row: -row[1].host)
        known = sum(part.host for _, part in rows)
        lines = [f"{'part':<16}{'calls':>6}{'host':>9}{'guest':>9}{'of all':>8}"]
        lines += [
            f"{name:<16}{part.calls:>6}{part.host:>8.3f}s{part.guest:>8.3f}s{part.host / whole:>8.0%}"
            for name, part in rows
        ]
        lines.append(f"{'(host alone)':<16}{'':>6}{whole - known:>8.3f}s{'':>9}{1 - known / whole:>8.0%}")
        lines.append(f"{'a trial':<16}{'':>6}{whole:>8.3f}s{sum(part.guest for _, part in rows):>8.3f}s")
        return "\n".join(lines)


def cpu(pid: int) -> float:
    """Seconds of CPU time that a process has used."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return (int(words[11]) + int(words[12])) / TICK


@contextmanager
def watched(profile: Profile) -> Iterator[None]:
    """Take the time of each call to a machine, of each fork and of each clone."""
    ask, fork, close, start = QemuMachine._ask, QemuMachine.fork, QemuMachine.close, QemuMachine.__init__

    def timed(name: str, method: Any) -> Any:
        def call(machine: QemuMachine, *arguments: Any) -> Any:
            with profile.part(arguments[0] if name == "call" else name, machine.pid):
                return method(machine, *arguments)

        return call

    def started(machine: QemuMachine, *arguments: Any, **options: Any) -> None:
        with profile.part("clone", 0):
            start(machine, *arguments, **options)

    names = {"_ask": timed("call", ask), "fork": timed("fork", fork), "close": timed("close", close)}
    for name, method in names.items():
        setattr(QemuMachine, name, method)
    setattr(QemuMachine, "__init__", started)  # noqa: B010 - its arguments are another's
    try:
        yield
    finally:
        for name, method in {"_ask": ask, "fork": fork, "close": close, "__init__": start}.items():
            setattr(QemuMachine, name, method)


def tools(machine: Machine) -> Iterator[tuple[str, float, float]]:
    """What the tools of the probe cost: once when they are new to the machine, and once more."""
    for argv in (("true",), ("python3", "-c", "pass"), ("e2fsck", "-V"), ("thin_check", "-V"), ("thin_dump", "-V")):
        seconds = []
        for _ in range(2):
            begin = time.monotonic()
            machine.run(*argv)
            seconds.append(time.monotonic() - begin)
        yield " ".join(argv), seconds[0], seconds[1]


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(prog="make profile", description=__doc__)
    asked.add_argument("--driver", default="reference")
    asked.add_argument("--provider", default="qemu")
    asked.add_argument("--at", default="exec mkfs.ext4#1", help="the boundary at which its whole tree is killed")
    given = asked.parse_args()
    scenario = Scenario(title="one kill", name="profile", at=(given.at,), victims=("tree",))
    with TrialRunner(get_provider(given.provider, note=print), load(given.driver)) as runner:
        init = runner.reference(FRESH)[0].fault_run
        [trial] = planned.trials(scenario, init, given.driver, runner.adapter.kind)
        runs = []
        for number in range(RUNS + 1):
            profile = Profile()
            with watched(profile):
                begin = time.monotonic()
                runner.run(trial)
                if number:  # the first also pays for the recorded init
                    runs.append((time.monotonic() - begin, profile))
        whole, profile = sorted(runs, key=lambda run: run[0])[RUNS // 2]
        print(f"one trial: '{given.driver}' on '{given.provider}', its tree killed before '{given.at}'")
        print(profile.table(whole))
        print("a command of the machine, when it is new to it, and once more")
        with runner.given(FRESH).clone() as machine:
            for name, first, second in tools(machine):
                print(f"{name:<22}{first:>8.3f}s{second:>8.3f}s")


if __name__ == "__main__":
    main()
