"""The shell at a trial's point, fed with lines as a user types them."""

import base64
import contextlib
import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crashinit.adapters import load
from crashinit.adapters.driven import Driven
from crashinit.machine.protocol import Completed, Provider
from crashinit.model.observation import Run
from crashinit.model.trial import Point, Setup, Trial
from crashinit.scenario.plan import write
from crashinit.trial import bash
from crashinit.trial.bash import LOOK
from crashinit.trial.recording import Recording
from crashinit.trial.runner import TrialRunner
from crashinit.trial.shell import Shell

from ..toys import environment

POINT = Point("pool-create", "before", 21, "dm.create pool#1")
TRIAL = Trial("t", "reference", "test", Setup("fresh", (), 60.0), POINT, "kill", "tree", 1)


@pytest.fixture(scope="module")
def runner(provider: Provider) -> Iterator[TrialRunner]:
    with TrialRunner(provider, load("reference")) as runner:
        yield runner


@pytest.mark.xdist_group("shell")
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
        r"printf '\351\351\351'; sleep 2; echo ' and after'",
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
    assert "the init was ended by signal SIGKILL" in text
    assert (
        text.index("the fault has struck already")
        < text.index("the init ended with exit status 0")
        < text.rindex("-pool")
    )
    assert "(exit status 1)\n\ufffd\ufffd\ufffd and after\nthere is no ':x': ':help' tells what there is." in text


@pytest.mark.xdist_group("shell")
def test_an_interrupted_line_ends_alone(runner: TrialRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends what runs in the machine; the machine, and the init that is held in it, stay."""
    out = io.StringIO()
    with runner.held(TRIAL) as (recording, driven):
        run = driven.machine.run
        interrupted: list[tuple[str, ...]] = []

        def once(*argv: str, **options: Any) -> Completed:
            if LOOK in argv and "first" in out.getvalue().splitlines()[-1] and not interrupted:
                interrupted.append(argv)
                signal.raise_signal(signal.SIGINT)
            return run(*argv, **options)

        monkeypatch.setattr(driven.machine, "run", once)
        lines = io.StringIO("echo first; sleep 1000\npgrep -x sleep || echo none sleeps\n:init\nexit\n")
        Shell(TRIAL, recording, driven, lambda: None, lines, out).cmdloop()
    said = out.getvalue()

    assert len(interrupted) == 1
    assert said.index("first") < said.index("none sleeps") < said.index("init is still held")


@pytest.mark.xdist_group("shell")
def test_words_show_the_way_and_what_differs(
    runner: TrialRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """':trace' marks the held operation, ':next' goes one further, ':diff' names facts, ':back' is there again."""
    monkeypatch.chdir(tmp_path)
    healthy, _ = runner.reference(TRIAL.setup)
    out = io.StringIO()
    with contextlib.ExitStack() as held:

        def hold() -> tuple[Recording, Driven, Callable[[], Run]]:
            held.close()
            recording, driven = held.enter_context(runner.held(TRIAL))
            return recording, driven, lambda: runner.strike(driven, recording.state["gate"], TRIAL)

        lines = [":trace", ":next", ":fault", ":init", ":diff", ":back", ":diff"]
        lines += [":put /etc/hostname /x", "ls /x", ":get /x"]
        typed = io.StringIO("".join(f"{line}\n" for line in lines))
        Shell(TRIAL, *hold(), typed, out, healthy=healthy, back=hold).cmdloop()
    first, *others = out.getvalue().split("crashinit# ")
    names = ["trace", "next", "fault", "init", "diff", "back", "before", "put", "ls", "get", "end"]
    said = dict(zip(names, others, strict=True))

    marked = [line for line in said["trace"].splitlines() if line.startswith(">")]
    following = healthy.fault_run.operations[int(marked[0].split()[1])]
    assert [line.split(maxsplit=2)[2] for line in marked] == [TRIAL.point.operation]
    assert said["next"] == f"init is held before operation {following.n}, '{following.key}'.\n"
    assert said["diff"] == "nothing differs from the state after an init without faults\n"
    assert said["back"] == first.partition(" Lines run")[0] + "\n"
    assert len(said["before"].splitlines()) > 1
    assert said["ls"] == "/x\n"
    assert Path("x").read_bytes() == Path("/etc/hostname").read_bytes()


class Here:
    """This host in the machine's place: a shell's lines need no more of one than a shell and a file."""

    def __init__(self, when: str) -> None:
        self._when = when  # a word of the request at which Ctrl-C is pressed, once
        self.machine = self

    def run(self, *argv: str, timeout: float = 60) -> Completed:
        if self._when and self._when in " ".join(argv):
            self._when = ""
            signal.raise_signal(signal.SIGINT)
        ended = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        return Completed(argv, ended.returncode, ended.stdout, ended.stderr, 0.0, timed_out=False)

    def get(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def put(self, data: Path, _target: str) -> None:
        data.read_bytes()

    def call(self, _request: str, *, path: str, offset: int, size: int) -> dict[str, str]:
        return {"data": base64.b64encode(Path(path).read_bytes()[offset : offset + size]).decode()}


@pytest.mark.parametrize(
    ("line", "when", "said"),
    [
        ("sleep 1000", "seq 20", "\n(interrupted)\n"),
        ("echo printed", "cat /", "printed\n\n(it had ended already)\n"),
        ("echo printed", "", "printed\n"),
    ],
)
def test_what_ctrl_c_did_is_said(
    line: str, when: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was over is not said to go on, and the prompt stands on a line of its own, also after Ctrl-D."""
    assert typed([line], Here(when), tmp_path, monkeypatch) == f"{said}crashinit# \n"


def typed(lines: list[str], machine: "Here", directory: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> str:
    """What these lines show, typed in a shell of this host."""
    for name in ("START", "RUN", "LOOK"):
        monkeypatch.setattr(bash, name, getattr(bash, name).replace(bash.HERE, str(directory)))
    monkeypatch.setattr(bash, "HERE", str(directory))
    out = io.StringIO()
    here: Any = machine
    recording = Recording(here, {"operation": None}, TRIAL.setup)
    try:
        Shell(
            TRIAL, recording, here, lambda: None, io.StringIO("".join(f"{line}\n" for line in lines)), out, **more
        ).cmdloop()
    finally:
        leader = int((directory / "pid").read_text()) if (directory / "pid").exists() else 0
        if leader and Path(f"/proc/{leader}").exists():
            os.killpg(leader, signal.SIGKILL)
    return out.getvalue().partition("crashinit# ")[2]


def test_one_shell_runs_all_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables, functions and the directory stay, also after a line that was interrupted."""
    lines = ["cd /usr; FOO=1; f() { echo f-$1; }", "sleep 1000", 'echo "[$FOO]"; f x; pwd']

    said = typed(lines, Here("sleep 1000"), tmp_path, monkeypatch)
    assert said.replace("crashinit# ", "") == "\n(interrupted)\n[1]\nf-x\n/usr\n\n"


def test_a_line_that_ends_the_shell_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next line gets a new shell, and people are told that it knows nothing of before."""
    said = typed(["FOO=1; exec true", 'echo "[$FOO]"'], Here(""), tmp_path, monkeypatch).replace("crashinit# ", "")

    assert said.startswith("(the machine's shell has ended:")
    assert said.endswith("\n[]\n\n")


def test_words_that_need_a_reference_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has kept no init without faults has nothing to compare with; a wrong use shows the right one."""
    said = typed([":trace", ":diff", ":get", ":get 'x", ":put /nowhere /x"], Here(""), tmp_path, monkeypatch)

    assert said.count("error: the run that planned this trial has kept no init without faults") == 2
    assert ":get: get FILE [TO]" in said
    assert "error: No closing quotation" in said
    assert "error: '/nowhere': No such file or directory" in said


def test_a_file_of_the_host_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """':get' makes a new file, and where there is one already it says so."""
    (tmp_path / "there").write_text("mine")
    source = tmp_path / "source"
    source.write_text("the machine's")
    lines = [f":get {source} {tmp_path / 'there'}", f":get {source} {tmp_path / 'new'}"]

    said = typed(lines, Here(""), tmp_path, monkeypatch)
    assert "there' cannot be written: File exists" in said
    assert (tmp_path / "there").read_text() == "mine"
    assert (tmp_path / "new").read_text() == "the machine's"


@pytest.mark.parametrize(("text", "expected"), [("/usr/lib/os-rel", "/usr/lib/os-release"), ("setsi", "setsid")])
def test_tab_completes_what_the_machine_has(text: str, expected: str) -> None:
    """A command in the first place, a file anywhere."""
    here: Any = Here("")

    assert bash.Bash(here, print).completions(text, command="/" not in text) == [expected]


# The command as the leader of a session whose terminal is its standard input: Ctrl-C typed there is a signal.
ON_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from crashinit.cli import main
sys.exit(main(sys.argv[1:]))
"""


SELECTS = ("23", "270")  # select, pselect6: <asm/unistd_64.h>


class Terminal:
    """A command on a terminal of its own, as a user has it before him."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        argv = [sys.executable, "-c", ON_A_TERMINAL, *arguments]
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(TERM="dumb"), start_new_session=True
        )
        os.close(theirs)

    def types(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def await_input(self) -> None:
        """Until it waits for what is typed: of a signal that comes after the prompt and before that, readline takes
        notice with the next key only."""
        deadline = time.monotonic() + 60
        while Path(f"/proc/{self.process.pid}/syscall").read_text().split()[0] not in SELECTS:
            assert time.monotonic() < deadline, "it does not wait for input"

    def await_text(self, wanted: str) -> str:
        """What is shown up to that text."""
        said = ""
        deadline = time.monotonic() + 300
        while wanted not in said:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._ours], [], [], left)[0], f"'{wanted}' does not come: {said}"
            said += os.read(self._ours, 1 << 16).decode(errors="replace")
        return said

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(provider: Provider, tmp_path: Path) -> Iterator[Terminal]:
    """`crashinit replay --shell` at the trial's point."""
    write(tmp_path / "plan.json", [TRIAL])
    terminal = Terminal("replay", str(tmp_path / "plan.json"), "--shell")
    yield terminal
    terminal.close()


@pytest.mark.xdist_group("shell")
def test_ctrl_c_at_the_prompt_keeps_the_machine(terminal: Terminal) -> None:
    """The shell says how it is left, and what is typed next goes to the machine; so it does twice."""
    terminal.await_text("crashinit# ")
    for _ in range(2):
        terminal.await_input()
        terminal.types("\x03")
        assert "the machine is gone" in terminal.await_text("crashinit# ")
    terminal.types("dmsetup version | grep -c Driver; hostname\n")
    assert "\n1\r" in terminal.await_text("crashinit# ")
    terminal.types("printf '\\033]0;owned\\007'\n")
    assert "\x1b]0;" not in terminal.await_text("\\x1b]0;owned\\x07")
    terminal.types("exit\n")

    assert terminal.process.wait(60) == 0


@pytest.mark.xdist_group("shell")
def test_sigterm_ends_the_shell(terminal: Terminal) -> None:
    """Only Ctrl-C is kept from ending it."""
    terminal.await_text("crashinit# ")
    terminal.await_input()
    terminal.process.terminate()

    terminal.await_text("crashinit: interrupted")
    assert terminal.process.wait(60) == 2


@pytest.mark.xdist_group("shell")
def test_tab_completes_words_and_the_machines_files(terminal: Terminal) -> None:
    """At the prompt: a word after its colon, and what lies in the machine and not on the host."""
    terminal.await_text("crashinit# ")
    terminal.await_input()
    terminal.types("mkdir -p /only-here/below; cd /only-here\n")
    terminal.await_text("crashinit# ")
    terminal.await_input()
    terminal.types("ls -d bel\t\n")
    assert "\nbelow\r" in terminal.await_text("crashinit# ")
    terminal.await_input()
    terminal.types(":hel\t\n")
    assert ":trace" in terminal.await_text("crashinit# ")
    terminal.types(":quit\n")

    assert terminal.process.wait(60) == 0
