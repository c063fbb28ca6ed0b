"""DIR/report.html: one file that works offline, for people."""

from collections import Counter
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from crashinit.files.safe import write_text
from crashinit.model.events import OUTCOMES, Outcome, TrialResult
from crashinit.report.again import replay
from crashinit.report.counts import MARKS, NO_STEP, WORST_FIRST, is_judged, judged, summary, table, total_seconds, worst
from crashinit.report.kinds import how_often
from crashinit.report.results import RunRecord
from crashinit.report.title import name, title
from crashinit.report.words import duration, many, system, with_time
from crashinit.text.printable import printable

REPORT = "report.html"

_REASONS = 3


def write(run: RunRecord, out: Path) -> None:
    """Write report.html into the run's directory."""
    write_text(out / REPORT, render(run, out))


def render(run: RunRecord, out: Path) -> str:
    """The page of the run in that directory."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = Counter(result.outcome for result in run.results)
    steps, columns, cells = table(run.results)
    verdict, tone = _verdict(run, counts)
    return environment.get_template("report.html.j2").render(
        run=run,
        title=title(run.driver),
        name=name(run.driver),
        counts=counts,
        outcomes=OUTCOMES,
        marks=MARKS,
        verdict=verdict,
        tone=tone,
        started=datetime.fromisoformat(run.started).strftime("%-d %B %Y, %H:%M UTC") if run.started else "",
        took="unknown" if run.seconds is None else duration(run.seconds),
        unfinished=_unfinished(run),
        columns=len(columns),
        column_groups=[
            (phase, [victim for _, victim in group]) for phase, group in groupby(columns, key=lambda column: column[0])
        ],
        matrix=[
            {"step": step, "cells": [_cell(*place, cells.get((step, *place))) for place in columns]} for step in steps
        ],
        no_step=NO_STEP,
        clauses=_clauses(run),
        judged=judged(run.results),
        is_judged=is_judged,
        trials=sorted(run.results, key=lambda result: WORST_FIRST.index(result.outcome)),
        failed=_failed,
        replay=lambda result: replay(result, out),
        many=many,
        duration=duration,
        total_seconds=total_seconds,
        how_often=how_often,
        with_time=with_time,
        system=system,
    )


def _shown(value: Any) -> Any:
    """What stands in for a value on the page: text that has no effect but to be read. Jinja2 then escapes it."""
    return printable(value, None) if isinstance(value, str) and not isinstance(value, Markup) else value


def _verdict(run: RunRecord, counts: Counter[Outcome]) -> tuple[str, Outcome]:
    if not run.results:
        return "nothing ran", "not-fired"
    if counts["converged"] == len(run.planned):
        return "every trial converged", "converged"
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in WORST_FIRST[:-1] if counts[outcome])
    tone: Outcome = worst(counts) if said else "not-fired"
    return said or f"{len(run.not_run)} of {many(len(run.planned), 'trial')} not done", tone


def _unfinished(run: RunRecord) -> str:
    if run.interrupted:
        return f"The run was interrupted: {_of(run)} {'was' if len(run.not_run) == 1 else 'were'} not done."
    if run.seconds is None and run.started:
        return f"The run did not end: {_of(run)} {'has' if len(run.not_run) == 1 else 'have'} no result."
    return ""


def _of(run: RunRecord) -> str:
    return f"{len(run.not_run)} of {many(len(run.planned), 'planned trial')}"


def _cell(phase: str, victim: str, counts: Counter[Outcome] | None) -> dict[str, Any]:
    counts = counts or Counter()
    return {
        "phase": phase,
        "victim": victim,
        "total": counts.total(),
        "converged": counts["converged"],
        "worst": worst(counts),
        "text": ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]),
    }


def _clauses(run: RunRecord) -> list[dict[str, Any]]:
    rows = []
    for clause, counts in summary(run)["clauses"].items():
        reasons = Counter(
            result.clause_reasons[clause]
            for result in judged(run.results)
            if result.clauses.get(clause, "pass") != "pass" and result.clause_reasons.get(clause)
        )
        rows.append(
            {
                "id": clause,
                "name": run.clause_names.get(clause, ""),
                **counts,
                "reasons": reasons.most_common(_REASONS),
                "more": max(0, len(reasons) - _REASONS),
            }
        )
    return rows


def _failed(result: TrialResult) -> list[str]:
    """The clauses that the driver broke: those that the clause table counts."""
    return [clause for clause, status in result.clauses.items() if status == "fail" and is_judged(result)]
