"""Trials that a run has planned, done again: replay."""

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crashinit.cli.app import (
    FAILED,
    NOTHING_RAN,
    OK,
    Confirm,
    NoMerge,
    Out,
    ProviderName,
    Repeat,
    Seed,
    Seeds,
    Workers,
    app,
    exit_code,
    fail,
    machines,
    run_reports,
    say,
    warn,
)
from crashinit.cli.plans import find, is_bundle
from crashinit.errors import UsageError
from crashinit.model.events import CONFIRM, Note
from crashinit.run.directory import run_directory
from crashinit.text.printable import one_line

if TYPE_CHECKING:
    from crashinit.adapters.driven import Driven
    from crashinit.model.observation import Evidence, Run
    from crashinit.model.trial import Trial
    from crashinit.trial.recording import Recording


@app.command()
def replay(
    target: Annotated[
        str,
        typer.Argument(metavar="TRIAL|PLAN|BUNDLE", help="A trial's id, or the path of a plan.json or of a bundle."),
    ],
    source: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="The run that planned it; by default the newest that did."),
    ] = None,
    provider: Annotated[
        ProviderName | None,
        typer.Option("--provider", help="Where machines come from; by default qemu, or what the run had a seed for."),
    ] = None,
    seed: Seed = None,
    guest: Annotated[
        str, typer.Option("--guest", metavar="G", help="What machines run; by default what they ran in the run.")
    ] = "",
    out: Out = None,
    workers: Workers = 1,
    failed: Annotated[bool, typer.Option("--failed", help="Of a plan, only what did not converge in its run.")] = False,
    clause: Annotated[
        str | None, typer.Option("--clause", metavar="C", help="With '--failed': only where this clause failed.")
    ] = None,
    select: Annotated[str, typer.Option("-k", metavar="EXPR", help="Of a plan, only trials whose id matches.")] = "",
    shell: Annotated[
        bool, typer.Option("--shell", help="Instead, a shell in the machine, with the init held at that point.")
    ] = False,
    check: Annotated[
        int | None,
        typer.Option("--check", metavar="N", min=2, help="Instead, N runs of each trial, compared with its first one."),
    ] = None,
    confirm: Confirm = CONFIRM,
    repeat: Repeat = 0,
    seeds: Seeds = 1,
    no_merge: NoMerge = False,
) -> int:
    """One trial again, that of a bundle, or all trials of a plan."""
    from crashinit import families
    from crashinit.campaign import campaign
    from crashinit.campaign.tries import HowOften, under
    from crashinit.machine.provider import get_provider
    from crashinit.run import kept
    from crashinit.run.place import claimed
    from crashinit.scenario.selection import matcher

    if clause and clause not in families.clauses():
        raise UsageError(f"'{clause}' is no clause: they are {', '.join(families.clauses())}.")
    if provider:
        machines(provider, seed, seeds, guest)  # what is wrong with them is told before anything is read
    plan, trials = find(target, source)
    vms = machines_of(provider, seed, seeds, guest, plan.parent)
    if is_bundle(target):
        from crashinit.bundle.here import differences

        asked = bool(guest)
        say(one_line(differences(Path(target), plan.parent, vms, asked=asked, note=warn), None))
    if select:
        trials = list(filter(lambda trial: matcher(select)(trial.id), trials))
    if clause and not failed:
        raise UsageError("'--clause' chooses among failures: give '--failed' as well.")
    if failed:
        trials = _failed(trials, plan.parent, clause)
    if not trials:
        return fail(f"error: nothing ran: no trial of '{plan}' matches '{select}'.", NOTHING_RAN)
    seeded = [replace(t, seed=None) for t in trials] if seed is not None else _with_their_seeds(trials, plan.parent)
    trials = [under(trial, get_provider(vms)) for trial in seeded]
    if shell and check:
        raise UsageError("'--shell' and '--check' each do something else with a trial: give one of the two.")
    if shell:
        return _shell(trials, vms, plan.parent)
    if check:
        return _check(trials, vms, plan.parent, check, workers)
    directory = run_directory(out, "replay", resume=False, force=False)
    prepared = kept.read_prepared(plan.parent)
    with claimed(directory), run_reports(directory) as emit:
        prepared.only(trials).store(directory)
        campaign.run_trials(
            prepared,
            trials,
            trials[0].driver,
            vms,
            directory,
            workers,
            emit,
            recordings=plan.parent,
            narrowed=bool(select or failed) or Path(target).suffix != ".json",
            often=HowOften(confirm, repeat, seeds, merge=not no_merge),
        )
    if len(trials) == 1:
        for line in _story(directory, trials[0].id):
            say(one_line(line, None))
    return exit_code(directory)


def _story(directory: Path, trial: str) -> Iterator[str]:
    """What happened in the trial that was run again."""
    from crashinit.report import read
    from crashinit.report.stories import Stories
    from crashinit.report.told import told

    run = read(directory)
    for result in run.results:
        if result.id == trial and (story := Stories(directory, run.driver).of(result)):
            yield ""
            yield from told(result, story)


def machines_of(provider: ProviderName | None, seed: int | None, seeds: int, guest: str, directory: Path) -> str:
    """The provider, and where none is asked for, the run's if that had a seed, else the default one; the same guest."""
    from crashinit.machine.seed import apart, options
    from crashinit.report import again

    own, ran = apart(again.machines_of(directory))
    if provider is None and options(own):
        kind, _, its = own.partition(":")
        return machines(ProviderName(kind), int(its) if its and seed is None else seed, guest=guest or ran)
    return machines(provider or ProviderName.QEMU, seed, seeds, guest or ran)


def _with_their_seeds(trials: "list[Trial]", directory: Path) -> "list[Trial]":
    """The trials, each with the seed that its result in that run names, if it names one."""
    from crashinit.report import read
    from crashinit.report.results import RESULTS

    found = read(directory).results if (directory / RESULTS).exists() else []
    seeds = {result.id: result.seed for result in found if result.seed is not None}
    return [replace(trial, seed=seeds.get(trial.id, trial.seed)) for trial in trials]


def _check(trials: "list[Trial]", provider: str, planned: Path, times: int, workers: int) -> int:
    """Whether each trial repeats itself, in so many runs."""
    from crashinit.campaign import repeated
    from crashinit.campaign.planning import make_runner
    from crashinit.run import kept

    prepared = kept.read_prepared(planned)
    if any(trial.seed is None for trial in trials):
        say(f"Times and random numbers change from run to run on '{provider}': only outcome and clauses are compared.")
    differs = False
    with run_reports(None, stderr=True) as emit:
        for trial in trials:
            make = functools.partial(make_runner, trial.driver, provider, planned)
            equal = 1
            for repetition in repeated.repetitions(trial, times, make, prepared, workers):
                emit(Note(f"run {repetition.n} of {times}: {repetition.difference or 'equal to the first'}"))
                if repetition.difference and equal == repetition.n - 1:
                    say(one_line(f"{trial.id}: run {repetition.n} is another: {repetition.difference}"))
                equal += not repetition.difference
            differs |= equal < times
            with_seed = "" if trial.seed is None else f" under seed {trial.seed}"
            say(one_line(f"{trial.id}: {equal} of {times} equal{with_seed}"))
    return FAILED if differs else OK


def _failed(trials: "list[Trial]", directory: Path, clause: str | None) -> "list[Trial]":
    """Those trials that ran there and did not converge; of one fault the trial that stands for all."""
    from crashinit.report import read

    results = {result.id: result for result in read(directory).results}
    chosen = [
        trial
        for trial in trials
        if (result := results.get(trial.id)) is not None
        and result.outcome != "converged"
        and not result.same_as
        and (clause is None or result.clauses.get(clause) == "fail")
    ]
    if not chosen:
        what = f"no trial of '{directory}' fails {clause}" if clause else f"every trial of '{directory}' converged"
        raise UsageError(f"{what}: there is nothing to try again.")
    return chosen


def _shell(trials: "list[Trial]", provider: str, planned: Path) -> int:
    """A shell at the one trial's point."""
    from crashinit.campaign.planning import make_runner
    from crashinit.campaign.result import result_of
    from crashinit.model.fault import kind_of
    from crashinit.trial.shell import Shell
    from crashinit.trial.terminal import Terminal
    from crashinit.trial.tty import Tty
    from crashinit.trial.words import NO_REFERENCE, Words

    if len(trials) != 1:
        raise UsageError(f"'--shell' needs one trial, but this plan holds {len(trials)}: give a trial's id.")
    if kind_of(trials[0].fault).cuts_power:
        raise UsageError("'--shell' holds an init before its fault, and a power cut's trial begins after it.")
    trial, healthy = trials[0], _healthy(trials[0], planned)
    with make_runner(trial.driver, provider, planned) as runner, ExitStack() as held:

        def hold() -> "tuple[Recording, Driven]":
            held.close()
            return held.enter_context(runner.held(trial))

        def strike(driven: "Driven", gate: str) -> "Run":
            return runner.strike(driven, gate, trial)

        def judged() -> Iterator[str]:
            if healthy is None:
                raise UsageError(NO_REFERENCE)
            result = result_of(trial, *runner.run(trial), healthy, runner.adapter)
            for clause, status in result.clauses.items():
                yield f"{clause} {status:4} {result.clause_reasons.get(clause, '')}".rstrip()
            yield f"{result.outcome}: {result.reason}" if result.reason else result.outcome

        with closing(Words(trial, hold, strike, healthy=healthy, judge=judged)) as words:
            if Tty.is_there():
                with Tty() as tty:
                    Terminal(words, tty, os.environ.get("TERM", "dumb")).run()
            else:
                Shell(words, sys.stdin, sys.stdout).run()
    return OK


def _healthy(trial: "Trial", planned: Path) -> "Evidence | None":
    """The init without faults that the run of this plan has kept, if it has."""
    from crashinit.run import kept

    try:
        return kept.read_prepared(planned).references.get(trial.setup)
    except UsageError:
        return None
