"""`crashinit drivers check`: one init without faults, for drivers that work and for drivers that do not."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashinit import cli
from crashinit.adapters import load, names
from crashinit.campaign.check import check
from crashinit.contract.judge import judge, outcome
from crashinit.errors import CrashinitError, DriverError
from crashinit.guest.names import read_text
from crashinit.machine.protocol import Provider
from crashinit.model.trial import Point, Setup, Trial
from crashinit.trial.runner import TrialRunner

from ..toys import environment

ROOT = Path(__file__).parents[2]
SHELL = ROOT / "examples" / "shelldriver.toml"
DAEMON = """
name = "d"
title = "a daemon of one line"
root = "/var/lib/d"
init = ["sh", "-c", "mkdir -p {root}; SCRIPT"]
ready = { log = "up" }
"""


@pytest.fixture(scope="module")
def runner(provider: Provider) -> Iterator[TrialRunner]:
    """A runner of the shell driver's trials."""
    with TrialRunner(provider, load(str(SHELL))) as runner:
        yield runner


def daemon(directory: Path, script: str) -> str:
    path = directory / "d.toml"
    path.write_text(DAEMON.replace("SCRIPT", script))
    return str(path)


def test_the_shell_driver_works_without_a_fault() -> None:
    """It has all five steps, and no clause fails."""
    found = check(str(SHELL), "qemu")

    assert (found.run.exit, found.unexplained) == (0, [])
    assert list(found.steps) == ["loopback", "pool-create", "base-create", "mkfs", "metadata-save"]
    assert {clause: v.reason for clause, v in found.verdicts.items() if v.status == "fail"} == {}
    assert found.verdicts["C08"].status == "pass"


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (1, 0, "C18 base-identity    pass"),
        (2, 0, "exec mkfs.ext4#1"),
        (3, 1, "C07 base-clean: the base holds no file system"),
    ],
)
def test_the_docs_commands_do_what_the_docs_say(tmp_path: Path, number: int, code: int, said: str) -> None:
    """Each numbered command of docs/adapters.md, as it is typed there."""
    text = (ROOT / "docs" / "adapters.md").read_text()
    (command,) = re.findall(rf"^{number}\. `crashinit ([^`]+)`", text, re.MULTILINE)
    out = ["--out", str(tmp_path / "run")] if command.startswith("run") else []
    ended = crashinit(*shlex.split(command), *out)

    assert ended.returncode == code, ended.stderr
    assert said in ended.stdout


def crashinit(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command, in the checkout."""
    argv = [sys.executable, "-m", "crashinit.cli", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env=environment(), cwd=ROOT)


def test_the_shell_drivers_bug_is_found(runner: TrialRunner) -> None:
    """Killed before mkfs, it takes the thin device that is there for a finished base."""
    setup = Setup("fresh", (), 60.0)
    point = Point("mkfs", "before", 0, "exec mkfs.ext4#1")
    evidence, _ = runner.run(
        Trial("t", "shelldriver", "steps/mkfs", setup, point, fault="kill", victim="tree", restarts=1)
    )
    verdicts = judge(
        evidence, runner.reference(setup)[0], runner.adapter.expectation((), setup.deadline), runner.adapter.kind
    )

    assert verdicts["C01"].status == "pass"
    assert (verdicts["C07"].status, verdicts["C07"].reason) == ("fail", "the base holds no file system")
    assert outcome(verdicts, evidence, runner.adapter.kind)[0] == "diverged"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "echo nearly; exec sleep 1000",
            r"was not ready within 2 s \(it waited.*\): no line of its output matches 'up'; .*: nearly",
        ),
        ("echo no root >&2; exit 7", "ended with exit status 7; it said: no root"),
        ("kill -SEGV $$", "was ended by signal SIGSEGV; it said: nothing"),
        (
            "echo 'panic: no pool' >&2; echo 'goroutine 1 [running]:' >&2; exit 2",
            "ended with exit status 2; it said: panic: no pool$",
        ),
        ("exit 0", "ended with exit status 0 before it was ready; it said: nothing$"),
        ("echo why; exit 0", "ended with exit status 0 before it was ready; it said: why$"),
    ],
)
def test_a_daemon_that_never_gets_ready_is_one_sentence(tmp_path: Path, script: str, said: str) -> None:
    """It names the command, what was waited for, and the last that the daemon said."""
    with pytest.raises(DriverError, match=said):
        check(daemon(tmp_path, script), "qemu", deadline=2.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('init = ["nonesuch"]', "there is no program 'nonesuch' in its machine"),
        ('init = ["true"]\nbefore = [["false"]]', "'false' ended with 1 in the machine"),
    ],
)
def test_what_cannot_be_started_is_one_sentence(tmp_path: Path, line: str, said: str) -> None:
    """A program that is not there, and a preparation that fails."""
    path = tmp_path / "d.toml"
    path.write_text(f'name = "d"\ntitle = "t"\nroot = "/var/lib/d"\nshutdown = ["true"]\n{line}\n')

    with pytest.raises(CrashinitError, match=said):
        check(str(path), "qemu")


BROKEN = DAEMON.replace('"up"', '"("')
UNKNOWN_PACKAGE = DAEMON + '[install]\npackages = ["no-such-package-at-all"]\n'


@pytest.mark.parametrize(
    ("command", "text", "code", "said"),
    [
        ("drivers check", BROKEN, 4, "'ready': '(' is no regular expression"),
        (
            "run scenarios/steps --driver",
            UNKNOWN_PACKAGE,
            4,
            "there is no package 'no-such-package-at-all' in 'bookworm'",
        ),
        ("drivers check", DAEMON.replace("SCRIPT", "exit 7"), 1, "without any fault, 'sh -c"),
        ("explore --fault kill --driver", DAEMON.replace("SCRIPT", "exit 7"), 1, "without any fault, 'sh -c"),
    ],
)
def test_a_driver_that_cannot_be_tested_ends_the_command(
    tmp_path: Path, command: str, text: str, code: int, said: str
) -> None:
    """One sentence on standard error, the exit code of whose mistake it is, and no process or result is left."""
    path = tmp_path / "d.toml"
    path.write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "crashinit.cli", *command.split(), str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=ROOT,
        start_new_session=True,
    )
    _, stderr = process.communicate(timeout=300)

    assert process.returncode == code
    assert stderr.startswith("crashinit: error: ")
    assert said in stderr
    assert stderr.count("\n") == 1
    assert alive(process.pid) == []


def alive(session: int) -> list[str]:
    """The processes of a session, by proc(5), stat: the sixth field."""
    lines = [read_text(path) for path in Path("/proc").glob("[0-9]*/stat")]
    return [line for line in lines if line and line.rpartition(")")[2].split()[3] == str(session)]


def test_a_driver_without_steps_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A step that does not occur asks for its reason, and exit 1 says that something is left to do."""
    path = daemon(tmp_path, "echo up; exec sleep 1000")

    assert cli.main(["drivers", "check", path]) == 1
    assert "no step 'pool-create': if that is how the driver works, say why in [absent]" in capsys.readouterr().out


def test_a_step_that_occurs_though_it_is_declared_absent_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scenarios of such a step would be left out unseen, so the check fails."""
    path = tmp_path / "s.toml"
    told = SHELL.read_text().replace('source = "', f'source = "{SHELL.parent}/')
    path.write_text(told.replace("[install]", 'absent = { mkfs = "not so" }\n\n[install]'))

    assert cli.main(["drivers", "check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "step 'mkfs' occurs, though [absent] says that it does not: take it out there" in out
    assert "not so" not in out


def test_the_drivers_are_listed() -> None:
    """One line a driver, with its title."""
    ended = crashinit("drivers")

    assert ended.returncode == 0
    assert [line.split()[0] for line in ended.stdout.splitlines()] == names()


@pytest.mark.parametrize("example", ["shelldriver", "shelldriver.toml"])
def test_the_docs_show_the_example_as_it_is(example: str) -> None:
    """docs/adapters.md holds both files word for word."""
    text = (ROOT / "examples" / example).read_text()

    assert f"\n{text}```\n" in (ROOT / "docs" / "adapters.md").read_text()
