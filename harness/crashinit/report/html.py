"""DIR/report.html: one file that works offline, for people."""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from crashinit.files.safe import write_text
from crashinit.model.events import OUTCOMES, Outcome, TrialResult
from crashinit.report.again import replay
from crashinit.report.counts import MARKS, NO_STEP, WORST_FIRST, is_judged, judged, summary, table, total_seconds, worst
from crashinit.report.kinds import SEVERITIES, Kind, first, how_often, kind_of, kinds, severity, short
from crashinit.report.picture import pictures
from crashinit.report.results import RunRecord
from crashinit.report.stories import Stories
from crashinit.report.story import rule
from crashinit.report.strike import place, sentence, strike
from crashinit.report.title import name, title
from crashinit.report.verdict import distinct, said, tone, unfinished
from crashinit.report.words import duration, many, system, with_time
from crashinit.run.kept import file_name
from crashinit.text.printable import printable

REPORT = "report.html"
PACKED = 1_500_000  # characters of compressed stories in a page, at most; those beyond are told by 'crashinit show'
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
    environment.globals.update(
        run=run,
        marks=MARKS,
        many=many,
        duration=duration,
        total_seconds=total_seconds,
        how_often=how_often,
        is_judged=is_judged,
        anchor=anchor,
        replay=lambda result: replay(result, out),
        place=place,
        sentence=sentence,
        strike=strike,
    )
    environment.filters.update(anchor=anchor, asked=lambda value: quote(printable(value, None)))
    stories = Stories(out, run.driver)
    own = distinct(run.results)
    twins = _twins(run.results)
    failing = kinds(result for result in own if result.outcome != "converged")
    numbers: dict[Kind, int] = {kind_of(alike[0]): number for number, alike in enumerate(failing, 1)}
    body = environment.get_template("trial.html.j2")
    counts = Counter(result.outcome for result in run.results)
    steps, columns, cells = table(run.results)
    return environment.get_template("report.html.j2").render(
        title=title(run.driver),
        name=name(run.driver),
        counts=counts,
        outcomes=OUTCOMES,
        verdict=said(run),
        tone=tone(run),
        started=datetime.fromisoformat(run.started).strftime("%-d %B %Y, %H:%M UTC") if run.started else "",
        took="unknown" if run.seconds is None else duration(run.seconds),
        unfinished=unfinished(run),
        kinds=[_kind(alike, number, twins, stories) for number, alike in enumerate(failing, 1)],
        pictures=pictures(run.results, stories, numbers),
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
        own=own,
        trials=sorted(own, key=lambda result: (WORST_FIRST.index(result.outcome), numbers.get(kind_of(result), 0))),
        twins=twins,
        number=lambda result: numbers.get(kind_of(result), ""),
        failed=_failed,
        short=short,
        packed=_packed(own, stories, twins, body),
        with_time=with_time,
        system=system,
    )


def anchor(trial: str) -> str:
    """The fragment of the page's address where a trial stands."""
    return "trial-" + "".join(
        letter if letter.isalnum() or letter in "-." else "_" if letter == "~" else f"={ord(letter):x}="
        for letter in file_name(trial)
    )


def _shown(value: Any) -> Any:
    """What stands in for a value on the page: text that has no effect but to be read. Jinja2 then escapes it."""
    return printable(value, None) if isinstance(value, str) and not isinstance(value, Markup) else value


def _twins(results: Sequence[TrialResult]) -> Mapping[str, Sequence[TrialResult]]:
    """By the id of a trial, those that it stands for."""
    found: dict[str, list[TrialResult]] = {}
    for result in results:
        if result.same_as:
            found.setdefault(result.same_as, []).append(result)
    return found


def _kind(
    alike: Sequence[TrialResult], number: int, twins: Mapping[str, Sequence[TrialResult]], stories: Stories
) -> dict[str, Any]:
    """One kind of failure, or of trials without a verdict."""
    shown, told = alike[0], None
    for result in alike[:5]:  # a published run keeps the evidence of some
        if told := stories.of(result):
            shown = result
            break
    clause, reason = first(shown)
    places = {(result.boundary, result.operation) for result in alike}
    by_name = Counter(strike(result) for result in alike)
    return {
        "number": number,
        "tone": shown.outcome,
        "heading": SEVERITIES[severity(shown)] if shown.outcome == "diverged" else NO_VERDICT[shown.outcome],
        "clause": clause if shown.outcome == "diverged" else "",
        "clause_name": "",
        "reason": short(reason),
        "faults": len(alike),
        "points": len(places),
        "others": sorted({c for result in alike for c in _failed(result)} - {clause}),
        "steps": list(dict.fromkeys(result.step or NO_STEP for result in alike)),
        "strikes": list(by_name.items()),
        "often": how_often(alike),
        "twins": sum(len(twins.get(result.id, ())) for result in alike),
        "trial": shown,
        "story": told,
    }


NO_VERDICT: Mapping[Outcome, str] = {
    "not-fired": "the fault never struck, so nothing is known of the driver",
    "error": "the harness could not judge it, so nothing is known of the driver",
}


def _packed(
    results: Sequence[TrialResult], stories: Stories, twins: Mapping[str, Sequence[TrialResult]], body: Template
) -> str:
    """What stands inside each trial's entry, compressed (RFC 1950) and as base64. The worst come first, and where the
    page would grow too large, the rest have no story in it."""
    order = sorted(results, key=lambda result: WORST_FIRST.index(result.outcome))
    squeezed, size, pieces = zlib.compressobj(9), 0, []

    def add(text: str) -> None:
        nonlocal size
        piece = squeezed.compress(text.encode()) + squeezed.flush(zlib.Z_SYNC_FLUSH)
        pieces.append(piece)
        size += len(piece)

    add("{")
    for number, result in enumerate(order):
        full = result.outcome == "diverged" and size * 4 / 3 < PACKED
        told = stories.of(result) if full else None
        entry = body.render(result=result, story=told, twins=twins.get(result.id, ()), failed=_failed(result))
        add(f"{',' * bool(number)}{json.dumps(anchor(result.id))}:{json.dumps(entry)}")
    add("}")
    pieces.append(squeezed.flush())
    return base64.b64encode(b"".join(pieces)).decode()


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
                "rule": rule(clause),
                **counts,
                "reasons": reasons.most_common(_REASONS),
                "more": max(0, len(reasons) - _REASONS),
            }
        )
    return rows


def _failed(result: TrialResult) -> list[str]:
    """The clauses that the driver broke: those that the clause table counts."""
    return [clause for clause, status in result.clauses.items() if status == "fail" and is_judged(result)]
