"""What a run says on a terminal and in a log."""

import io
from pathlib import Path

import pytest
from crashinit.events import Note, RunFinished, RunStarted, TrialFinished, TrialStarted
from crashinit.report import Reports
from crashinit.report.console import LiveConsole, Progress, QuietConsole, listener
from rich.console import Console

from .events import mixed, report, results, sequence


def log_console() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=80), stream


def quiet(trials: list[object], out: Path | None = None) -> str:
    console, stream = log_console()
    report(out, trials, console=console)  # type: ignore[arg-type]
    return stream.getvalue()


def terminal(height: int = 40) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=100, height=height, force_terminal=True, color_system=None, _environ={}), stream


def test_the_stream_decides() -> None:
    """A terminal gets the live display; a file, a pipe and a dumb terminal get lines."""
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})

    assert isinstance(listener(terminal()[0], None), LiveConsole)
    assert isinstance(listener(log_console()[0], None), QuietConsole)
    assert isinstance(listener(dumb, None), QuietConsole)


def test_log_names_each_failure_once_with_reason_and_command() -> None:
    """Every failure is one line with outcome and id, then its reason and how to repeat it, not folded."""
    said = quiet(mixed()).splitlines()  # type: ignore[arg-type]

    place = said.index("✗ diverged  steps/loopback/before/op/process")
    assert said[place + 1] == "    C03: <data> is attached twice & leaks"
    assert said[place + 2] == "    crashinit replay steps/loopback/before/op/process"
    assert sum(line.startswith(("✗ diverged", "○ not-fired", "! error")) for line in said) == 3


def test_log_ends_with_the_table_the_counts_and_the_report(tmp_path: Path) -> None:
    """The summary has five steps by before/during/after by victim, the totals, and where the report is."""
    said = quiet(mixed(), tmp_path)  # type: ignore[arg-type]
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.startswith((" loopback", " mkfs"))}

    assert {"loopback": ["0/1", *["1/1"] * 5], "mkfs": ["1/1"] * 6} == rows
    assert "30 of 30 trials in 1 min 23 s: 27 converged, 1 diverged, 1 not-fired, 1 error" in said
    assert f"report: {tmp_path / 'report.html'}" in said


def test_log_of_a_long_run_is_short() -> None:
    """A run without failures says a progress line for every tenth of it, not one a trial."""
    said = quiet(results())  # type: ignore[arg-type]

    assert said.count("of 30 trials, ") == 5
    assert "15 of 30 trials, 15 converged; about" in said


def test_no_escape_sequences_in_a_log() -> None:
    """A log is plain text."""
    assert "\x1b" not in quiet(results())  # type: ignore[arg-type]


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
