"""The shell at a trial's point, fed with lines as a user types them."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from crashinit.adapters import load
from crashinit.machine.protocol import Completed, Provider
from crashinit.plan import Point, Setup, Trial
from crashinit.shell import LOOK, Shell
from crashinit.trial import TrialRunner

POINT = Point("pool-create", "before", 21, "dm.create pool#1")
TRIAL = Trial("t", "reference", "test", Setup("fresh", (), 60.0), POINT, "kill", "tree", 1)


@pytest.fixture(scope="module")
def runner(provider: Provider) -> Iterator[TrialRunner]:
    with TrialRunner(provider, load("reference")) as runner:
        yield runner


@pytest.mark.xdist_group("trial")
def test_a_session_looks_strikes_and_starts_again(runner: TrialRunner) -> None:
    """Lines run in the machine and keep their directory; init is held until ':fault', and runs after it."""
    lines = [
        "cd /var/lib",
        "pwd",
        "dmsetup ls",
        ":init",
        ":fault",
        ":fault",
        ":init",
        "dmsetup ls",
        "false",
        ":x",
        "exit",
    ]
    out = io.StringIO()
    with runner.held(TRIAL) as (recording, driven):
        gate = recording.state["gate"]
        Shell(
            TRIAL,
            recording,
            driven,
            lambda: runner.strike(driven, gate, TRIAL),
            io.StringIO("\n".join(lines) + "\n"),
            out,
        ).cmdloop()
    said = [line.removeprefix("crashinit# ") for line in out.getvalue().splitlines()]
    text = "\n".join(said).replace("crashinit# ", "")

    assert "'dm.create pool#1'" in said[0]
    assert text.index("/var/lib") < text.index("No devices found") < text.index("init is still held")
    assert "exit status -9" in text
    assert text.index("the fault has struck already") < text.index("exit status 0") < text.rindex("-pool")
    assert "(exit status 1)\nthere is no ':x': ':help' tells what there is." in text


@pytest.mark.xdist_group("trial")
def test_an_interrupted_line_ends_alone(runner: TrialRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends what runs in the machine; the machine, and the init that is held in it, stay."""
    out = io.StringIO()
    with runner.held(TRIAL) as (recording, driven):
        run = driven.machine.run
        interrupted: list[tuple[str, ...]] = []

        def once(*argv: str, **options: Any) -> Completed:
            if LOOK in argv and "first" in out.getvalue().splitlines()[-1] and not interrupted:
                interrupted.append(argv)
                raise KeyboardInterrupt
            return run(*argv, **options)

        monkeypatch.setattr(driven.machine, "run", once)
        lines = io.StringIO("echo first; sleep 1000\npgrep -x sleep || echo none sleeps\n:init\nexit\n")
        Shell(TRIAL, recording, driven, lambda: None, lines, out).cmdloop()
    said = out.getvalue()

    assert len(interrupted) == 1
    assert said.index("first") < said.index("none sleeps") < said.index("init is still held")
