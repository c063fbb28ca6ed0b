"""What a run says on a terminal and in a log."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.model.events import (
    Event,
    Note,
    RunExtended,
    RunFinished,
    RunStarted,
    TrialFinished,
    TrialResult,
    TrialStarted,
)
from crashinit.report import Reports
from crashinit.report.console import LiveConsole, Progress, QuietConsole, listener
from rich.console import Console

from .events import failing, mixed, report, results, sequence

LONG = "C04 no-leaks: temporary file 'metadata/.tmp{}' is left, and so is whatever else it was that nobody cleared away"


def alike(count: int) -> list[TrialResult]:
    """Trials that fail in the same way but for a number."""
    return [failing(r, "diverged", LONG.format(n), {"C04": "fail"}) for n, r in enumerate(results()[:count], 1000)]


def on_terminal(trials: list[TrialResult], out: Path | None, width: int = 80) -> str:
    """What stays on a terminal after a run: the display below it is left out."""
    console, stream = terminal(width=width)
    face = LiveConsole(console, out, Progress())
    for event in [*sequence(trials), RunFinished(83.2, False)]:
        face(event)
        face.close()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def log_console() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=80), stream


def quiet(trials: list[TrialResult], out: Path | None = None) -> str:
    console, stream = log_console()
    report(out, trials, console=console)
    return stream.getvalue()


def terminal(height: int = 40, width: int = 100) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=width, height=height, force_terminal=True, color_system=None, _environ={}), stream


@pytest.fixture(autouse=True)
def not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about terminals; a CI server that runs them is none of their business."""
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.parametrize(("value", "face"), [("true", QuietConsole), ("1", QuietConsole), ("false", LiveConsole)])
def test_a_ci_server_gets_lines(monkeypatch: pytest.MonkeyPatch, value: str, face: type) -> None:
    """With CI=true nothing is drawn anew, though the job has a terminal: a log would keep every frame."""
    monkeypatch.setenv("CI", value)
    console, stream = terminal()
    shown = listener(console, None)
    for event in [*sequence(mixed()), RunFinished(1.0, False)]:
        shown(event)

    assert isinstance(shown, face)
    assert ("\x1b[2K" in stream.getvalue()) == (face is LiveConsole)


def test_the_stream_decides() -> None:
    """A terminal gets the live display; a file, a pipe and a dumb terminal get lines."""
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})

    assert isinstance(listener(terminal()[0], None), LiveConsole)
    assert isinstance(listener(log_console()[0], None), QuietConsole)
    assert isinstance(listener(dumb, None), QuietConsole)


def test_log_names_each_failure_once_with_reason_and_command() -> None:
    """Every failure is one line with outcome and id, then its reason and how to repeat it, not folded."""
    said = quiet(mixed()).splitlines()

    place = said.index("✗ diverged  steps/loopback/before/op/process")
    assert said[place + 1] == "    C03: <data> is attached twice & leaks"
    assert said[place + 2] == "    crashinit replay steps/loopback/before/op/process"
    assert sum(line.startswith(("✗ diverged", "○ not-fired", "! error")) for line in said) == 3


def test_log_ends_with_the_table_the_counts_and_the_report(tmp_path: Path) -> None:
    """The summary has five steps by before/during/after by victim, the totals, and where the report is."""
    said = quiet(mixed(), tmp_path)
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.startswith((" loopback", " mkfs"))}

    assert {"loopback": ["0/1", *["1/1"] * 5], "mkfs": ["1/1"] * 6} == rows
    assert "30 of 30 trials in 1 min 23 s: 27 converged, 1 diverged, 1 not-fired, 1 error" in said
    assert f"report: {tmp_path / 'report.html'}" in said


def test_log_of_a_long_run_is_short() -> None:
    """A run without failures says a progress line for every tenth of it, not one a trial."""
    said = quiet(results())

    assert said.count("of 30 trials, ") == 5
    assert "15 of 30 trials, 15 converged; about" in said


def test_no_escape_sequences_in_a_log() -> None:
    """A log is plain text."""
    assert "\x1b" not in quiet(results())


def test_an_interruption_says_how_to_go_on(tmp_path: Path) -> None:
    """After a Ctrl-C the counts so far are printed, with the options that go on."""
    console, stream = log_console()
    with Reports(tmp_path, console=console) as emit:
        for event in [*sequence(results())[:5], RunFinished(4.0, True)]:
            emit(event)

    assert f"interrupted (go on with the same command, '--out {tmp_path}' and '--resume')" in stream.getvalue()


def test_eta_follows_the_pace() -> None:
    """Two trials a minute with eight to go leave four minutes; before the first result nothing is promised."""
    now = 100.0
    progress = Progress(now=lambda: now)
    trials = results()[:10]
    progress(RunStarted("d", "qemu", "tcg", [trial.id for trial in trials]))
    for trial in trials[:2]:
        progress(TrialStarted(trial.id, 0))
    assert progress.eta() is None

    now = 160.0
    for trial in trials[:2]:
        progress(TrialFinished(trial))

    assert progress.eta() == 240.0


def test_a_resumed_run_counts_what_was_done_earlier() -> None:
    """Earlier results are in the counts and the table, but the pace is that of the new ones."""
    now = 0.0
    trials = results()[:4]
    progress = Progress(trials[:2], now=lambda: now)
    progress(RunStarted("d", "qemu", "tcg", [trial.id for trial in trials[2:]]))
    progress(TrialStarted(trials[2].id, 0))
    now = 10.0
    progress(TrialFinished(trials[2]))

    assert (progress.total, progress.counts["converged"], progress.eta()) == (4, 3, 10.0)


def test_live_display_shows_what_runs_and_what_failed() -> None:
    """The display has the bar's numbers, the counts, each running trial with its time, and the time left."""
    now = 0.0
    console, stream = terminal()
    trials = mixed()
    face = LiveConsole(console, None, Progress(now=lambda: now))
    face(Note("building the image"))
    face(RunStarted("reference", "qemu", "tcg", [trial.id for trial in trials]))
    face(TrialStarted(trials[0].id, 0))
    face(TrialStarted(trials[1].id, 1))
    now = 3.0
    face(TrialFinished(trials[0]))

    with console.capture() as capture:
        console.print(face._render())
    face.close()

    shown = capture.get()
    for part in ("1/30", "1 diverged", "about 1 min 27 s left", "worker 1", "3.0 s", trials[1].id):
        assert part in shown
    assert f"✗ diverged  {trials[0].id}" in stream.getvalue()


def test_live_display_gives_the_terminal_back(tmp_path: Path) -> None:
    """After an exception the cursor is visible again."""
    console, stream = terminal()
    with pytest.raises(RuntimeError), Reports(tmp_path, console=console) as emit:
        emit(sequence(results())[0])
        raise RuntimeError

    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def test_failures_that_are_alike_are_told_once(tmp_path: Path) -> None:
    """At the end each kind has its sentence, its number and one command; while the run goes on each failure its id."""
    for said in (on_terminal(alike(9), tmp_path, 200), quiet(alike(9), tmp_path)):
        running, _, end = said.partition("metadata-save")
        lines = end.splitlines()
        place = lines.index(f"✗ 9 trials diverged: C04: {LONG.format(1000)}")

        assert lines[place + 1] == f"    {alike(1)[0].replay} --run {tmp_path}"
        assert end.count("crashinit replay") == 1
        assert running.count("✗ diverged  steps/") == 9
        assert running.count("is left") == 1


def test_kinds_of_failures_are_those_of_the_page_in_plain_words() -> None:
    """Wedges come first and say what becomes of the inits after; what was not judged comes last, with its reason."""
    trials = mixed()
    trials[1] = replace(failing(trials[1], "diverged", "stuck", {"C01": "fail", "C08": "n/a"}), restarts=3)
    said = on_terminal(trials, None, 200).splitlines()

    assert [line for line in said if re.match(r". \d+ trial", line)] == [
        "✗ 1 trial diverged: C01: stuck. No init succeeds any more (3 tried)",
        "✗ 1 trial diverged: C03: C03: <data> is attached twice & leaks",
        "○ 1 trial did not fire: the operation did not occur",
        "! 1 trial could not be judged: the machine died: \\x1b[31mpanic\\x00",
    ]


def test_a_terminal_breaks_no_word_and_no_command(tmp_path: Path) -> None:
    """At 80 columns sentences are folded between words; commands and paths stay whole, for the terminal to fold."""
    out = tmp_path / "a-directory-whose-name-alone-is-nearly-as-long-as-a-line-of-the-terminal"
    trials = [*alike(2), *results()[2:]]
    trials[2] = replace(trials[2], same_as=trials[3].id)
    trials[4] = replace(trials[4], same_state_as=trials[3].id)
    said = on_terminal(trials, out)

    assert f"    {trials[0].replay} --run {out}\n" in said
    assert f"report: {out / 'report.html'}\n" in said
    assert "'same_as'" in said
    told = (
        "1 trial was not run: each is the same fault as another trial and takes its result ('same_as' in results.jsonl)"
    )
    assert told in " ".join(said.split())
    told = "1 trial was run only up to the fault: each left the same state as another trial ('same_state_as' in"
    assert told in " ".join(said.split())
    for line in said.splitlines():
        assert len(line) <= 80 or str(out) in line
    assert f"2 trials diverged: C04: {LONG.format(1000)}" in " ".join(said.split())


def test_the_end_of_a_running_trial_s_id_is_seen() -> None:
    """Where an id is too long for the line it is cut in the middle: trials differ at their end."""
    console, _ = terminal(width=60)
    trials = [replace(trial, id=trial.id.replace("/op/", f"/{'x' * 60}/")) for trial in results()[:2]]
    face = LiveConsole(console, None, Progress(now=lambda: 0.0))
    face(RunStarted("reference", "qemu", "tcg", [trial.id for trial in trials]))
    for worker, trial in enumerate(trials):
        face(TrialStarted(trial.id, worker))
    with console.capture() as capture:
        console.print(face._render())
    face.close()

    lines = [line.rstrip() for line in capture.get().splitlines() if "worker" in line]
    assert [line[-10:].rpartition("/")[2] for line in lines] == ["process", "tree"]
    assert all(len(line) <= 60 and "steps" in line for line in lines)


def test_the_live_display_does_not_repeat_failures() -> None:
    """A failure stands above the display, and not in it as well."""
    console, _ = terminal()
    face = LiveConsole(console, None, Progress(now=lambda: 0.0))
    for event in sequence(alike(9)):
        face(event)
    with console.capture() as capture:
        console.print(face._render())
    face.close()

    assert "9 diverged" in capture.get()
    assert "steps/" not in capture.get()


def test_a_table_that_is_too_wide_is_one_a_phase() -> None:
    """With many victims no heading is cut off: before, during and after have a table each."""
    trials = [
        replace(trial, id=f"{trial.id}/{victim}", victim=victim)
        for trial in results()
        for victim in ("process", "tree", "once", "always", "machine")
    ]
    said = on_terminal(trials, None)

    assert "…" not in said
    assert said.count(" metadata-save ") == 3


def test_of_a_run_of_nothing_nothing_is_said(tmp_path: Path) -> None:
    """That no trial matched is one sentence of the command; an empty table and counts of nothing do not hide it."""
    events: list[Event] = [
        RunStarted("reference", "qemu", "tcg", [], ["3 of the plan's 3 trials: they were not selected"])
    ]
    for console, stream in (log_console(), terminal()):
        face = listener(console, tmp_path)
        for event in [*events, RunExtended([], []), RunFinished(0.0, False)]:
            face(event)
            face.close()

        assert "".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).split()) in ("", "preparing" * 2)


def test_an_operation_outside_every_step_has_a_row() -> None:
    """It is labelled as in the page."""
    assert "(no step)" in quiet([replace(results()[0], step="")])


OWNED = "\x1b]0;owned\a\x1b[2J\x1b[1;1H146 of 146 converged"
HOSTILE = f"{OWNED}\u202egnp.exe\udce9\r\x9b2J"


def hostile() -> list[TrialResult]:
    """A run in which each string that is not the harness's own tries to take the terminal."""
    trials = results()[:2]
    named = replace(trials[0], id=f"steps/{HOSTILE}\n7 of 7 trials", step=HOSTILE, phase=HOSTILE, victim=HOSTILE)
    return [failing(named, "diverged", HOSTILE, {"C03": "fail"}), trials[1]]


def in_full(trials: list[TrialResult]) -> list[Event]:
    """All kinds of events, with hostile strings in each."""
    started = RunStarted(HOSTILE, HOSTILE, HOSTILE, [trial.id for trial in trials], [HOSTILE])
    told = [started, RunExtended([HOSTILE], [HOSTILE]), *sequence(trials)[1:]]
    return [Note(HOSTILE), *told, RunFinished(83.2, False)]


def test_no_string_of_others_reaches_a_log_raw() -> None:
    """What a driver, a scenario or a stored run says is printed as visible escapes, and cannot pass for a line."""
    stream = io.StringIO()
    face = QuietConsole(Console(file=stream, width=80), None, Progress())
    for event in in_full(hostile()):
        face(event)

    said = stream.getvalue()
    assert not [char for char in said if not (char.isprintable() or char == "\n")]
    assert "\\x1b]0;owned\\x07" in said
    assert not [line for line in said.splitlines() if line.startswith("7 of 7 trials")]
    said.encode()


def test_no_string_of_others_reaches_a_terminal_raw() -> None:
    """On a terminal the only escape sequences are those of the display itself."""
    console, stream = terminal()
    face = LiveConsole(console, None, Progress())
    for event in in_full(hostile()):
        face(event)

    said = stream.getvalue()
    assert "\x1b]" not in said
    assert "\x1b[2J" not in said
    assert "\a" not in said
    assert not {"\u202e", "\udce9", "\x9b"} & set(said)
