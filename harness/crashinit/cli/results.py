"""Commands on runs that are over: report, judge, baseline, compare."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crashinit.cli.app import (
    FAILED,
    NOTHING_RAN,
    OK,
    Baseline,
    RunDirectory,
    app,
    exit_code,
    fail,
    run_reports,
    say,
    warn,
)
from crashinit.errors import UsageError
from crashinit.text.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crashinit.report import RunRecord


class FormName(StrEnum):
    """Formats of a run's report beyond those that each run has."""

    CTRF = "ctrf"
    SUMMARY = "summary"
    BADGE = "badge"
    GITHUB = "github"
    SARIF = "sarif"


@app.command()
def report(
    directory: RunDirectory,
    readme: Annotated[bool, typer.Option("--readme", help="Also a README.md in plain words, to publish.")] = False,
    forms: Annotated[
        list[FormName] | None,
        typer.Option(
            "--format",
            help="Also for a server or a CI: ctrf writes ctrf.json, summary a summary.md, badge a badge.svg, "
            "sarif a report.sarif; github prints a line for each kind of failure, as GitHub Actions reads them.",
        ),
    ] = None,
) -> int:
    """Make a run's reports again from its results.jsonl: they are written into its directory."""
    from crashinit.report import ctrf, gate, plain, remake, sarif
    from crashinit.report.gaps import Gaps
    from crashinit.run.place import permitted

    with permitted(directory):
        run = remake(directory)
        say(str(directory / "report.html"))
        if readme:
            say(str(plain.write(directory)))
        writers = {
            FormName.CTRF: ctrf.write,
            FormName.SUMMARY: gate.write_summary,
            FormName.BADGE: gate.write_badge,
            FormName.SARIF: sarif.write,
        }
        for form in forms or ():
            if form in writers:
                say(str(writers[form](run, directory)))
            else:
                for line in gate.annotations(run, directory):
                    say(one_line(line, None))
    warn(Gaps(run).missing())
    return OK


@app.command()
def merge(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR...", readable=False, help="The directories of all shards of a run.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", readable=False, help="Where the whole run goes.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the results in '--out'.")] = False,
    baseline: Baseline = None,
) -> int:
    """Join the shards of a run (--shard K/N) into one run with one report.

    Ends as the whole run would; with 3 if a shard is missing.
    """
    from crashinit.baseline.known import load
    from crashinit.campaign.shard import ELSEWHERE
    from crashinit.model.events import RunFinished, RunStarted, TrialFinished
    from crashinit.report import read
    from crashinit.run import merged
    from crashinit.run.place import claimed

    runs = [read(directory) for directory in directories]
    merged.refuse_unlike([(directory, run.shard) for directory, run in zip(directories, runs, strict=True)])
    for directory, run in zip(directories, runs, strict=True):
        for key in ("driver", "provider", "guest", "contract", "select"):
            if getattr(run, key) != getattr(runs[0], key):
                raise UsageError(f"'{directory}' and '{directories[0]}' hold runs that differ in their {key}.")
    known = load(baseline) if baseline else None
    first = runs[0]
    said = dict.fromkeys(one for run in runs for one in run.left_out if not one.endswith(ELSEWHERE))
    ids = [trial for run in runs for trial in run.planned]
    narrowed = any(run.narrowed for run in runs)
    with claimed(out, force=force):
        merged.copy(directories, out)
        with run_reports(out) as emit:
            about = (first.driver, first.provider, first.accel, ids, list(said), narrowed, first.select)
            emit(RunStarted(*about, first.time, first.guest, first.kernel))
            for run in runs:
                for result in run.results:
                    emit(TrialFinished(result))
            emit(RunFinished(sum(run.seconds or 0.0 for run in runs), any(run.interrupted for run in runs)))
    return exit_code(out, known)


@app.command()
def judge(directory: RunDirectory) -> int:
    """Judge a run's stored evidence again, by the contract as it is now; no machine is needed.

    The new results take the place of the old ones in the run's directory, and so do the reports.
    Ends as the run itself would: 0 if all converged, 1 if some trial diverged or did not fire.
    """
    from crashinit.campaign import campaign
    from crashinit.report import read, replace_results
    from crashinit.report.words import many
    from crashinit.run.place import locked, permitted

    with permitted(directory), locked(directory):
        results = read(directory).results
        again = campaign.judge_again(results, directory)
        replace_results(directory, again)
    changed = [new.id for old, new in zip(results, again, strict=True) if replace(old, replay=new.replay) != new]
    for trial in changed:
        say(one_line(trial))
    say(f"{many(len(again), 'trial was', 'trials were')} judged again; {len(changed)} of them came out differently.")
    return exit_code(directory)


@app.command()
def baseline(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", readable=False, help="The runs' directories.")],
    explain: Annotated[
        Path | None,
        typer.Option("--explain", metavar="FILE", help="Instead, what each entry of this baseline covers, and why."),
    ] = None,
) -> int:
    """The failures of runs, by kind, as a first baseline for '--baseline'; of several drivers and guests in one."""
    from crashinit.baseline.explained import explained
    from crashinit.baseline.judgement import judge_directory
    from crashinit.baseline.known import load
    from crashinit.baseline.written import written
    from crashinit.report import read
    from crashinit.report.gaps import Gaps
    from crashinit.run.place import permitted

    known = load(explain) if explain else ()
    runs = []
    for directory in directories:
        with permitted(directory):
            run = read(directory)
            runs.append(run)
        if explain:
            if len(directories) > 1:
                say(one_line(f"{directory}:"))
            for line in explained(known, judge_directory(directory, run, known)):
                say(one_line(line))
    if explain:
        return OK
    say(written(runs).removesuffix("\n"))
    for run in runs:
        if missing := Gaps(run).missing():
            warn(f"{missing} The baseline knows nothing of them.")
    return OK


@app.command()
def compare(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR DIR...", readable=False, help="The runs' directories.")
    ],
) -> int:
    """What changed between two runs, two drivers side by side, or others by kind of failure and by point.

    Ends with 1 if they differ, else with 0.
    """
    from crashinit.report import compare as comparing
    from crashinit.report import read
    from crashinit.report.words import many
    from crashinit.run.place import permitted

    if len(directories) < 2:
        raise UsageError(f"'{directories[0]}' alone cannot be compared: name the directories of two runs or more.")
    runs = []
    for directory in directories:
        with permitted(directory):
            runs.append((str(directory), read(directory)))
    (_, left), (_, right), *more = runs
    if more or (left.driver == right.driver and left.guest and right.guest and left.guest != right.guest):
        return _across(runs)
    if left.driver != right.driver:
        return _side_by_side(left, right)
    comparison = comparing.compare(left, right)
    for change in comparison.changes:
        say(one_line(change.id))
        for detail in change.details:
            say(f"    {one_line(detail)}")
    common = many(comparison.common, "trial is", "trials are")
    say(f"{common} in both runs; {many(len(comparison.changes), 'differs or is', 'differ or are')} in one run only.")
    if not comparison.common:
        return NOTHING_RAN if comparison.equal else FAILED
    return OK if comparison.equal else FAILED


def _side_by_side(left: "RunRecord", right: "RunRecord") -> int:
    """Two drivers in one table."""
    from rich.console import Console

    from crashinit.report import differential
    from crashinit.report.words import many

    rows = differential.rows(left, right)
    if not rows:
        return fail("error: the two runs have no step, phase and victim in common.", NOTHING_RAN)
    Console().print(differential.drawn(rows, left, right))
    different = sum(not row.equal for row in rows)
    kinds = many(len(rows), "kind of crash is", "kinds of crash are")
    say(f"{kinds} in both runs; in {different} of them the drivers come out differently.")
    return FAILED if different else OK


def _across(runs: "Sequence[tuple[str, RunRecord]]") -> int:
    """Three runs or more, or two guests."""
    from rich.console import Console

    from crashinit.report import across

    if len(runs) > len(across.LETTERS):
        raise UsageError(f"{len(runs)} runs are too many for one table: name at most {len(across.LETTERS)}.")
    records = [run for _, run in runs]
    for line in across.legend(runs):
        say(one_line(line))
    Console().print(across.kinds(records))
    table, differing, common = across.points(records)
    if not common:
        return fail("error: no two of the runs have a point in common.", NOTHING_RAN)
    if differing:
        Console().print(table)
    say(across.said(differing, common))
    return FAILED if differing else OK
