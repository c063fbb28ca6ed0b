"""What a run says while it goes on: a live display on a terminal, quiet lines anywhere else."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crashinit.events import (
    OUTCOMES,
    Event,
    Note,
    Outcome,
    RunExtended,
    RunFinished,
    RunStarted,
    TrialFinished,
    TrialResult,
    TrialStarted,
)
from crashinit.report.results import MARKS, duration, table, worst

STYLES: dict[Outcome, str] = {"converged": "green", "diverged": "bold red", "not-fired": "yellow", "error": "magenta"}
_LAST_FAILURES = 5
MERGED = "'same_as' in results.jsonl names it"


class Progress:
    """What is known of a run so far: `earlier` are the results that a resumed run begins with.

    `now` gives seconds from any fixed moment.
    """

    def __init__(self, earlier: Sequence[TrialResult] = (), now: Callable[[], float] = time.monotonic) -> None:
        self._earlier = {result.id: result for result in earlier}
        self._now = now
        self.run = RunStarted("", "", "", [])
        self.note = ""
        self.running: dict[str, tuple[int, float]] = {}  # id -> worker, moment of its start
        self.results: list[TrialResult] = []
        self._first: float | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case Note(text):
                self.note = text
            case RunStarted():
                self.run = event
                self.note = ""
            case RunExtended(trials, left_out):
                self.run = replace(
                    self.run, trials=[*self.run.trials, *trials], left_out=[*self.run.left_out, *left_out]
                )
            case TrialStarted(trial, worker):
                self._first = self._now() if self._first is None else self._first
                self.running[trial] = (worker, self._now())
            case TrialFinished(result):
                self.running.pop(result.id, None)
                self.results.append(result)
            case RunFinished():
                self.running.clear()

    @property
    def all_results(self) -> list[TrialResult]:
        """Earlier results and new ones; a new one replaces the earlier one of the same trial."""
        return list({**self._earlier, **{result.id: result for result in self.results}}.values())

    @property
    def total(self) -> int:
        """How many trials there will be in all, earlier ones included."""
        return len(self._earlier.keys() | set(self.run.trials))

    @property
    def counts(self) -> Counter[Outcome]:
        """How many trials ended with each outcome."""
        return Counter(result.outcome for result in self.all_results)

    def elapsed(self, since: float | None = None) -> float:
        """Seconds since that moment, by default since the first trial began."""
        start = self._first if since is None else since
        return 0.0 if start is None else self._now() - start

    def eta(self) -> float | None:
        """Seconds that the rest will take at the pace so far; None while nothing has ended."""
        if not self.results:
            return None
        return self.elapsed() / len(self.results) * (self.total - len(self.all_results))


class LiveConsole:
    """A listener that keeps a progress display at the bottom of a terminal."""

    def __init__(self, console: Console, out: Path | None, progress: Progress) -> None:
        self._console = console
        self._out = out
        self._progress = progress
        self._live: Live | None = None

    def __call__(self, event: Event) -> None:
        self._progress(event)
        if self._live is None and not isinstance(event, RunFinished):
            self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=4, transient=True)
            self._live.start()
        match event:
            case RunStarted():
                self._console.print(_opening(event), highlight=False)
            case RunExtended(trials):
                self._console.print(_further(trials), highlight=False)
            case TrialFinished(result) if result.outcome != "converged":
                self._console.print(_failure(result), highlight=False)
            case RunFinished():
                self.close()
                _closing(self._console, self._progress, event, self._out)
            case _:
                pass

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _render(self) -> RenderableType:
        progress = self._progress
        if not progress.run.trials:
            return Text(progress.note or "preparing", style="dim")
        done, total = len(progress.all_results), progress.total
        eta = progress.eta()
        head = Table.grid(padding=(0, 1))
        head.add_row(
            ProgressBar(total=total, completed=done, width=max(10, min(40, self._console.width - 50))),
            f"{done}/{total}",
            duration(progress.elapsed()),
            Text("" if eta is None else f"about {duration(eta)} left", style="dim"),
        )
        parts: list[RenderableType] = [head, _counts(progress.counts)]
        if progress.note:
            parts.append(Text(progress.note, style="dim"))
        for trial, (worker, start) in sorted(progress.running.items(), key=lambda item: item[1]):
            line = Text(f"  worker {worker}  {duration(progress.elapsed(start)):>7}  ", style="dim")
            parts.append(line.append(trial, style="not dim"))
        failed = [result for result in progress.results if result.outcome != "converged"]
        if len(failed) > _LAST_FAILURES:
            parts.append(Text("last failures:", style="dim"))
            parts += [
                Text(f"  {MARKS[result.outcome]} {result.id}", style=STYLES[result.outcome])
                for result in failed[-_LAST_FAILURES:]
            ]
        for part in parts:
            if isinstance(part, Text):
                part.no_wrap, part.overflow = True, "ellipsis"
        return Group(*parts)


class QuietConsole:
    """A listener for logs: a line at the start, one a failure, one every tenth of the run, a summary."""

    def __init__(self, console: Console, out: Path | None, progress: Progress) -> None:
        self._console = console
        self._out = out
        self._progress = progress

    def __call__(self, event: Event) -> None:
        self._progress(event)
        match event:
            case Note(text):
                self._say(text)
            case RunStarted():
                self._say(_opening(event))
            case RunExtended(trials):
                self._say(_further(trials))
            case TrialFinished(result):
                if result.outcome != "converged":
                    self._say(_failure(result))
                self._pace()
            case RunFinished():
                _closing(self._console, self._progress, event, self._out)
            case _:
                pass

    def close(self) -> None:
        """There is nothing to give back."""

    def _pace(self) -> None:
        progress = self._progress
        done, total = len(progress.all_results), progress.total
        if done < total and done % min(50, max(5, ceil(total / 10))) == 0:
            left = duration(progress.eta() or 0.0)
            self._say(f"{done} of {total} trials, {_counts(progress.counts).plain}; about {left} left")

    def _say(self, text: str | Text) -> None:
        # Lines in a log are for grep: they are not folded at some width.
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)


def listener(console: Console, out: Path | None, progress: Progress | None = None) -> LiveConsole | QuietConsole:
    """The live display if the console is a terminal, else quiet lines. `out` is where the report will be."""
    face = LiveConsole if console.is_terminal and not console.is_dumb_terminal else QuietConsole
    return face(console, out, progress or Progress())


def results_table(results: list[TrialResult]) -> Table:
    """Five steps x before/during/after x victim: how many of the trials converged."""
    steps, columns, cells = table(results)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("step")
    for phase, victim in columns:
        grid.add_column(f"{phase}\n{victim}", justify="right")
    for step in steps:
        row = [Text(step or "(none)")]
        for phase, victim in columns:
            counts = cells.get((step, phase, victim))
            row.append(Text("-", style="dim") if counts is None else _cell(counts))
        grid.add_row(*row)
    return grid


def _cell(counts: Counter[Outcome]) -> Text:
    return Text(f"{counts['converged']}/{counts.total()}", style=STYLES[worst(counts)])


def _counts(counts: Counter[Outcome]) -> Text:
    parts = [Text(f"{counts[outcome]} {outcome}", style=STYLES[outcome]) for outcome in OUTCOMES if counts[outcome]]
    return Text(", ").join(parts) if parts else Text("none done yet", style="dim")


def _opening(run: RunStarted) -> str:
    count = len(run.trials)
    return f"{count} trial{'' if count == 1 else 's'} of driver '{run.driver}' on {run.provider} ({run.accel})"


def _further(trials: Sequence[str]) -> str:
    return f"{len(trials)} further trials: the re-inits of those before, crashed in their turn"


def _failure(result: TrialResult) -> Text:
    line = Text(f"{MARKS[result.outcome]} {result.outcome}", style=STYLES[result.outcome])
    line.append(f"  {result.id}", style="not bold default")
    details = [text for text in (result.reason, result.replay) if text]
    return line.append("".join(f"\n    {text}" for text in details), style="not bold default")


def _closing(console: Console, progress: Progress, event: RunFinished, out: Path | None) -> None:
    console.print()
    console.print(results_table(progress.all_results))
    for sentence in progress.run.left_out:
        console.print(f"left out: {sentence}", markup=False, highlight=False, soft_wrap=True)
    merged = sum(bool(result.same_as) for result in progress.all_results)
    if merged:
        sentence = f"merged: {merged} trials are the very fault of another trial, which stands for them; {MERGED}"
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    done, total = len(progress.all_results), progress.total
    line = Text(f"{done} of {total} trials in {duration(event.seconds)}: ").append_text(_counts(progress.counts))
    if event.interrupted:
        line.append("; interrupted", style="yellow")
        if out is not None:
            line.append(f" (go on with the same command, '--out {out}' and '--resume')")
    console.print(line, highlight=False, soft_wrap=True)
    if out is not None:
        console.print(f"report: {out / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
