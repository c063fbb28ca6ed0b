"""Consumers of campaign events: console, results.jsonl, junit, html. `Reports` is all of them as one listener."""

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from rich.console import Console

from crashinit.model.events import Event, RunFinished, RunStarted, TrialResult
from crashinit.report import console as faces
from crashinit.report import html, junit
from crashinit.report.counts import write_summary
from crashinit.report.results import ResultsLog, RunRecord, read, rewrite

__all__ = ["Reports", "RunRecord", "file_listeners", "listeners", "read", "remake", "replace_results"]


def remake(out: Path) -> RunRecord:
    """Write summary.json, junit.xml and report.html again from results.jsonl and run.json.

    Raises UsageError when `out` holds no run.
    """
    run = read(out)
    write_summary(run, out)
    junit.write(run, out)
    html.write(run, out)
    return run


def replace_results(out: Path, results: Sequence[TrialResult]) -> RunRecord:
    """Put other results of the same trials into a run's directory, judged by the present contract; all reports anew."""
    mask, names = contract_facts()
    rewrite(out, results, mask, names)
    return remake(out)


class Reports:
    """A listener that feeds all reports; safe to call from several threads.

    A context manager: if the run is left without its RunFinished (a Ctrl-C, an error of the harness), what was
    done so far is reported as interrupted. Without `out` nothing is written; without `console` nothing is said.
    """

    def __init__(
        self,
        out: Path | None,
        *,
        console: Console | None = None,
        mask: Sequence[str] = (),
        clause_names: Mapping[str, str] | None = None,
        resume: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.out = out
        self._now = now
        self._lock = threading.RLock()
        self._log = ResultsLog(out, mask=mask, clause_names=clause_names, resume=resume) if out else None
        earlier = read(out).results if out and resume and (out / "results.jsonl").exists() else []
        self._face = faces.listener(console, out, faces.Progress(earlier, now)) if console else None
        self._began: float | None = None

    def __call__(self, event: Event) -> None:
        with self._lock:
            # The log comes first: whatever a display does, the result is on the disk.
            if self._log:
                self._log(event)
            if isinstance(event, RunStarted):
                self._began = self._now()
            if isinstance(event, RunFinished):
                self._began = None
                if self.out and self._log and self._log.started:
                    remake(self.out)
            with self._while_it_is_seen():
                if self._face:
                    self._face(event)

    @contextlib.contextmanager
    def _while_it_is_seen(self) -> Iterator[None]:
        """A terminal that is gone is no reason to end a run, or to lose its report: from then on nothing is shown."""
        try:
            yield
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._face = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            if self._began is not None:
                self(RunFinished(self._now() - self._began, interrupted=True))
        finally:
            with self._while_it_is_seen():
                if self._face:
                    self._face.close()


def contract_facts() -> tuple[list[str], dict[str, str]]:
    """The mask of allowed differences as sentences, and the clauses' names, for the reports of a new run."""
    from crashinit import families
    from crashinit.contract.canonical import mask

    sentences = [f"{', '.join(entry.clauses)}: {', '.join(entry.paths)}. {entry.reason}" for entry in mask()]
    return sentences, {clause.id: clause.name for clause in families.clauses().values()}


def listeners(out: Path | None, *, console: Console | None = None, resume: bool = False) -> Reports:
    """All reports of a run under the present contract: files in `out`, if given, and the console, if given."""
    mask, names = contract_facts() if out else ([], {})
    return Reports(out, console=console, mask=mask, clause_names=names, resume=resume)


def file_listeners(out: Path, *, resume: bool = False) -> Reports:
    """The reports that are files, for a face that talks to the user itself."""
    return listeners(out, resume=resume)
