"""What a run says while it goes on: a live display on a terminal, quiet lines anywhere else."""

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crashinit.model.events import (
    OUTCOMES,
    Event,
    Note,
    Outcome,
    RunExtended,
    RunFinished,
    RunShortened,
    RunStarted,
    TrialConfirmed,
    TrialFinished,
    TrialResult,
    TrialStarted,
)
from crashinit.report.again import replay
from crashinit.report.counts import MARKS, NO_STEP, table, worst
from crashinit.report.kinds import Kind, first, how_often, in_words, is_wedge, kind_of, kinds, short
from crashinit.report.title import name
from crashinit.report.words import duration, many, middle_cut, system, with_time
from crashinit.text.printable import all_on_one_line

STYLES: dict[Outcome, str] = {"converged": "green", "diverged": "bold red", "not-fired": "yellow", "error": "magenta"}
ENDINGS: dict[Outcome, str] = {
    "converged": "converged",
    "diverged": "diverged",
    "not-fired": "did not fire",
    "error": "could not be judged",
}
MERGED = "'same_as' in results.jsonl"
ALIKE = "'same_state_as' in results.jsonl; '--no-merge' runs all in full"


class Progress:
    """What is known of a run so far: `earlier` are the results that a resumed run begins with.

    `now` gives seconds from any fixed moment.
    """

    def __init__(self, earlier: Sequence[TrialResult] = (), now: Callable[[], float] = time.monotonic) -> None:
        self._earlier = {result.id: result for result in all_on_one_line(list(earlier))}
        self._now = now
        self.run = RunStarted("", "", "", [])
        self.note = ""
        self.running: dict[str, tuple[int, float]] = {}  # id -> worker, moment of its start
        self.results: list[TrialResult] = []
        self.confirmed: dict[str, TrialResult] = {}  # those that were tried again
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
            case RunShortened(trials, left_out):
                kept = [trial for trial in self.run.trials if trial not in set(trials)]
                self.run = replace(self.run, trials=kept, left_out=[*self.run.left_out, *left_out], narrowed=True)
                self.running.clear()
            case TrialStarted(trial, worker):
                self._first = self._now() if self._first is None else self._first
                self.running[trial] = (worker, self._now())
            case TrialFinished(result):
                self.running.pop(result.id, None)
                self.results.append(result)
            case TrialConfirmed(result):
                self.running.pop(result.id, None)
                self.confirmed[result.id] = result
            case RunFinished():
                self.running.clear()

    @property
    def all_results(self) -> list[TrialResult]:
        """Earlier results and new ones; a new one replaces the earlier one of the same trial."""
        return list({**self._earlier, **{result.id: result for result in self.results}, **self.confirmed}.values())

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
        """Seconds that the rest will take at the pace so far; None while nothing has ended, or nothing is left."""
        if not self.results or self.total == len(self.all_results):
            return None
        return self.elapsed() / len(self.results) * (self.total - len(self.all_results))


class LiveConsole:
    """A listener that keeps a progress display at the bottom of a terminal."""

    def __init__(self, console: Console, out: Path | None, progress: Progress) -> None:
        self._console = console
        self._out = out
        self._progress = progress
        self._live: Live | None = None
        self._told: set[Kind] = set()

    def __call__(self, event: Event) -> None:
        event = all_on_one_line(event)
        self._progress(event)
        if self._live is None and not isinstance(event, RunFinished):
            self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=4, transient=True)
            self._live.start()
        match event:
            case RunStarted() if self._progress.total:
                _say(self._console, _opening(event))
            case RunExtended(trials) if trials:
                _say(self._console, _further(trials))
            case TrialFinished(result) if result.outcome != "converged":
                _say(self._console, _failed(result))
                if _is_first(result, self._told):
                    _say(self._console, short(result.reason), indent=4)
            case TrialConfirmed(result) if result.race:
                _say(self._console, _failed(result))
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
            parts.append(line.append(middle_cut(trial, self._console.width - line.cell_len), style="not dim"))
        for part in parts:
            if isinstance(part, Text):
                part.no_wrap, part.overflow = True, "ellipsis"
        return Group(*parts)


class QuietConsole:
    """A listener for logs: a line at the start, one a failure, one every tenth of the run, a summary.

    The first failure of each kind has two lines more: why, and how to see it again.
    """

    def __init__(self, console: Console, out: Path | None, progress: Progress) -> None:
        self._console = console
        self._out = out
        self._progress = progress
        self._told: set[Kind] = set()

    def __call__(self, event: Event) -> None:
        event = all_on_one_line(event)
        self._progress(event)
        match event:
            case Note(text):
                _say(self._console, text)
            case RunStarted() if self._progress.total:
                _say(self._console, _opening(event))
            case RunExtended(trials) if trials:
                _say(self._console, _further(trials))
            case TrialFinished(result):
                if result.outcome != "converged":
                    _say(self._console, _failed(result))
                    if _is_first(result, self._told):
                        for line in filter(None, [result.reason, replay(result, self._out)]):
                            _say(self._console, line, indent=4)
                self._pace()
            case TrialConfirmed(result) if result.race:
                _say(self._console, _failed(result))
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
            said = f"{done} of {many(total, 'trial')}, {_counts(progress.counts).plain}; about {left} left"
            _say(self._console, said)


def listener(console: Console, out: Path | None, progress: Progress | None = None) -> LiveConsole | QuietConsole:
    """The live display if the console is a terminal, else quiet lines. `out` is where the report will be."""
    face = LiveConsole if _is_for_people(console) else QuietConsole
    return face(console, out, progress or Progress())


def results_table(results: list[TrialResult], only: str | None = None) -> Table:
    """Five steps x before/during/after x victim: how many of the trials converged; or `only` one of these phases."""
    steps, columns, cells = table(results)
    columns = [place for place in columns if only in (None, place[0])]
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("step")
    for phase, victim in columns:
        grid.add_column(Text(f"{phase}\n{victim}"), justify="right")
    for step in steps:
        row = [Text(step or NO_STEP)]
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
    machines = f"{run.provider} ({with_time(run.accel, run.time)})"
    where = f", {runs}" if (runs := system(run.guest, run.kernel)) else ""
    return f"{many(len(run.trials), 'trial')} of driver '{name(run.driver)}' on {machines}{where}"


def _further(trials: Sequence[str]) -> str:
    return f"{many(len(trials), 'further trial')}: the re-inits of those before, crashed in their turn"


def _failed(result: TrialResult) -> Text:
    line = Text(f"{MARKS[result.outcome]} {result.outcome}", style=STYLES[result.outcome])
    line.append(f"  {result.id}", style="not bold default")
    return line.append(f"  {often}", style="not bold default") if (often := how_often([result])) else line


def _is_first(result: TrialResult, told: set[Kind]) -> bool:
    """Whether no failure of this kind was told before; now one is."""
    kind = kind_of(result)
    is_new = kind not in told
    told.add(kind)
    return is_new


def _closing(console: Console, progress: Progress, event: RunFinished, out: Path | None) -> None:
    if not progress.total:
        return  # that nothing ran is all that there is to say, and the command says it
    console.print()
    _print_tables(console, progress.all_results)
    _kinds_of_failures(console, progress.all_results, out)
    for sentence in progress.run.left_out:
        _say(console, f"left out: {sentence}")
    merged = sum(bool(result.same_as) for result in progress.all_results)
    if merged:
        were = many(merged, "trial was", "trials were")
        _say(console, f"{were} not run: each is the same fault as another trial and takes its result ({MERGED})")
    alike = sum(bool(result.same_state_as) for result in progress.all_results)
    if alike:
        were = many(alike, "trial was", "trials were")
        _say(console, f"{were} run only up to the fault: each left the same state as another trial ({ALIKE})")
    done, total = len(progress.all_results), progress.total
    line = Text(f"{done} of {many(total, 'trial')} in {duration(event.seconds)}: ")
    line.append_text(_counts(progress.counts))
    if event.interrupted:
        line.append("; interrupted", style="yellow")
        if out is not None:
            line.append(f" (go on with the same command, '--out {out}' and '--resume')")
    _say(console, line)
    if out is not None:
        _say(console, f"report: {out / 'report.html'}", whole=True)


def _print_tables(console: Console, results: list[TrialResult]) -> None:
    """One table, or where its words would be cut off one for each phase."""
    whole = results_table(results)
    wanted = Measurement.get(console, console.options.update(width=sys.maxsize), whole).maximum
    if wanted <= console.width:
        console.print(whole)
        return
    for phase in dict.fromkeys(phase for phase, _ in table(results)[1]):
        console.print(results_table(results, phase))


def _kinds_of_failures(console: Console, results: Sequence[TrialResult], out: Path | None) -> None:
    """What went wrong, the same kind once: how many trials, why, and how to see one of them again."""
    for alike in kinds(result for result in results if result.outcome != "converged"):
        result = alike[0]
        clause, reason = first(result)
        line = Text(f"{MARKS[result.outcome]} {many(len(alike), 'trial')} ", style=STYLES[result.outcome])
        line.append(ENDINGS[result.outcome])
        line.append(f": {'' if clause == result.outcome else f'{clause}: '}{short(reason)}", style="not bold default")
        if often := how_often(alike):
            line.append(f" ({often})", style="not bold default")
        if is_wedge(result):
            line.append(f". {in_words(result)}", style="not bold default")
        _say(console, line)
        if command := replay(result, out):
            _say(console, command, indent=4, whole=True)


def _is_for_people(console: Console) -> bool:
    """Whether somebody watches. A CI server keeps a log, and gives its jobs a terminal at times."""
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return console.is_terminal and not console.is_dumb_terminal and not in_ci


def _say(console: Console, text: str | Text, *, indent: int = 0, whole: bool = False) -> None:
    """Print a sentence: on a terminal folded between words, never within one.

    Lines in a log are for grep, and a command is for copying: these, and what is to stay `whole`, are not folded.
    """
    said = Text(text) if isinstance(text, str) else text
    folded = _is_for_people(console) and not whole
    lines = _folded(said, console.width - indent) if folded else list(said.split("\n"))
    for line in lines:
        console.print(Text(" " * indent).append_text(line), soft_wrap=True, highlight=False)


def _folded(text: Text, width: int) -> list[Text]:
    """Lines of at most that width, unless a word is longer: it stays whole, for rich would break it."""
    breaks: list[int] = []
    begin = 0
    for word in re.finditer(r"\S+", text.plain):
        if word.end() - begin > width and word.start() > begin:
            begin = word.start()
            breaks.append(begin)
    lines = list(text.divide(breaks))
    for line in lines:
        line.rstrip()
    return lines
