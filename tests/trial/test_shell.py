"""The shell at a trial's point, fed with lines as from a script."""

import base64
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crashinit.adapters import load
from crashinit.adapters.driven import Driven
from crashinit.machine.protocol import Completed, Provider
from crashinit.model.observation import Evidence
from crashinit.model.trial import Point, Setup, Trial
from crashinit.scenario.plan import write
from crashinit.trial import bash
from crashinit.trial.bash import LOOK
from crashinit.trial.recording import Recording
from crashinit.trial.runner import TrialRunner
from crashinit.trial.shell import Shell
from crashinit.trial.words import Words

from ..toys import environment

POINT = Point("pool-create", "before", 21, "dm.create pool#1")
TRIAL = Trial("t", "reference", "test", Setup("fresh", (), 60.0), POINT, "kill", "tree", 1)


@pytest.fixture(scope="module")
def runner(provider: Provider) -> Iterator[TrialRunner]:
    with TrialRunner(provider, load("reference")) as runner:
        yield runner


@contextlib.contextmanager
def at_the_point(runner: TrialRunner, healthy: Evidence | None = None) -> Iterator[Words]:
    """The words at the trial's point, as `replay --shell` has them."""
    with contextlib.ExitStack() as held:

        def hold() -> tuple[Recording, Driven]:
            held.close()
            return held.enter_context(runner.held(TRIAL))

        words = Words(TRIAL, hold, lambda driven, gate: runner.strike(driven, gate, TRIAL), healthy=healthy)
        with contextlib.closing(words):
            yield words


def told(words: Words, lines: list[str], out: io.StringIO | None = None) -> str:
    """What these lines show, from the first prompt on."""
    shown = out or io.StringIO()
    Shell(words, io.StringIO("".join(f"{line}\n" for line in lines)), shown).run()
    return shown.getvalue()


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
    with at_the_point(runner) as words:
        said = [line.removeprefix("crashinit# ") for line in told(words, lines).splitlines()]
    text = "\n".join(said).replace("crashinit# ", "")

    assert "'dm.create pool#1'" in said[0]
    assert text.index("/var/lib") < text.index("No devices found") < text.index("init is still held")
    assert "the init was ended by signal SIGKILL" in text
    assert (
        text.index("the fault has struck already")
        < text.index("the init ended with exit status 0")
        < text.rindex("-pool")
    )
    assert (
        "(exit status 1)\n\ufffd\ufffd\ufffd and after\nerror: there is no ':x': ':help' tells what there is." in text
    )


@pytest.mark.xdist_group("shell")
def test_an_interrupted_line_ends_alone(runner: TrialRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends what runs in the machine; the machine, and the init that is held in it, stay."""
    out = io.StringIO()
    with at_the_point(runner) as words:
        run = words.machine.run
        interrupted: list[tuple[str, ...]] = []

        def once(*argv: str, **options: Any) -> Completed:
            if LOOK in argv and "first" in out.getvalue().splitlines()[-1] and not interrupted:
                interrupted.append(argv)
                signal.raise_signal(signal.SIGINT)
            return run(*argv, **options)

        monkeypatch.setattr(words.machine, "run", once)
        told(words, ["echo first; sleep 1000", "pgrep -xf 'sleep 1000' || echo none sleeps", ":init", "exit"], out)
    said = out.getvalue()

    assert len(interrupted) == 1
    assert re.search("first(?s:.)*none sleeps(?s:.)*init is still held", said), said


@pytest.mark.xdist_group("shell")
def test_words_show_the_way_and_what_differs(
    runner: TrialRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """':trace' marks the held operation, ':next' goes one further, ':diff' names facts, ':back' is there again."""
    monkeypatch.chdir(tmp_path)
    healthy, _ = runner.reference(TRIAL.setup)
    with at_the_point(runner, healthy) as words:
        lines = [":trace", ":next", ":fault", ":init", ":diff", ":back", ":diff"]
        lines += [":put /etc/hostname /x", "ls /x", ":get /x"]
        first, *others = told(words, lines).split("crashinit# ")
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


@pytest.mark.xdist_group("shell")
def test_a_moment_with_a_name_is_there_again(runner: TrialRunner) -> None:
    """':back NAME' is before what was done since, in the machine and in what is known of the init, each time."""
    lines = [":fork a", "touch /broken", ":next", ":fork b", ":fault", ":init", ":forks", ":back a", "ls /broken"]
    lines += [":fault", ":back a", ":next", ":back b", "ls /broken", ":fault", ":back c", ":fork /"]
    with at_the_point(runner) as words:
        first, *others = told(words, lines).split("crashinit# ")
    place = first.partition(" Lines run")[0]
    said = dict(enumerate(others))

    following = said[2].strip()
    assert following.startswith("init is held before operation 22")
    assert said[6] == f"a            {place}\nb            {following}\n"
    assert said[7] == said[10] == f"{place}\n"
    assert "No such file" in said[8]
    assert "(operations: 21;" in said[9]
    assert "(operations: 22;" in said[4] == said[14]
    assert said[11] == f"{following}\n"
    assert said[12] == f"{following}\n"
    assert said[13] == "/broken\n"
    assert "there is no moment 'c'" in said[15]
    assert "a moment's name is of letters" in said[16]


@pytest.mark.xdist_group("shell")
def test_a_script_is_run_line_by_line(provider: Provider, tmp_path: Path) -> None:
    """Where standard input is no terminal, `replay --shell` takes lines and words from it, to its end."""
    write(tmp_path / "plan.json", [TRIAL])
    argv = [sys.executable, "-m", "crashinit.cli", "replay", str(tmp_path / "plan.json"), "--shell"]
    done = subprocess.run(argv, input="cd /usr\npwd\n:init\n", env=environment(), capture_output=True, text=True)

    first, *said = done.stdout.split("crashinit# ")
    assert first.startswith("init is held before operation 21, 'dm.create pool#1'. Lines run")
    assert said == ["", "/usr\n", "error: init is still held: ':fault' first.\n", "\n"]
    assert done.returncode == 0, done.stderr


class Here:
    """This host in the machine's place: a shell's lines need no more of one than a shell and a file."""

    def __init__(self, when: str) -> None:
        self._when = when  # a word of the request at which Ctrl-C is pressed, once
        self.machine = self
        self.adapter = None

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


def typed(lines: list[str], machine: "Here", directory: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What these lines show, in a shell of this host."""
    for name in ("START", "RUN", "LOOK"):
        monkeypatch.setattr(bash, name, getattr(bash, name).replace(bash.HERE, str(directory)))
    monkeypatch.setattr(bash, "HERE", str(directory))
    here: Any = machine
    words = Words(TRIAL, lambda: (Recording(here, {"operation": None}, TRIAL.setup), here), lambda *_: here)
    try:
        return told(words, lines).partition("crashinit# ")[2]
    finally:
        leader = int((directory / "pid").read_text()) if (directory / "pid").exists() else 0
        if leader and Path(f"/proc/{leader}").exists():
            os.killpg(leader, signal.SIGKILL)


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
