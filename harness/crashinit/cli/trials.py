"""Commands that run trials: run, explore, trace, replay."""

import functools
import json
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crashinit.cli.app import (
    NOTHING_RAN,
    OK,
    REPORTS,
    Baseline,
    Driver,
    Out,
    Provider,
    ProviderName,
    Seed,
    Workers,
    app,
    exit_code,
    fail,
    machines,
    run_directory,
    run_reports,
    say,
)
from crashinit.errors import UsageError
from crashinit.events import CONFIRM
from crashinit.printable import one_line

if TYPE_CHECKING:
    from crashinit.plan import Trial
    from crashinit.scenario import Scenario

Confirm = Annotated[
    int, typer.Option("--confirm", metavar="N", min=0, help="More tries of a trial that diverged: how often it comes.")
]
Repeat = Annotated[
    int, typer.Option("--repeat", metavar="N", min=0, help="More tries of every trial, also of one that converged.")
]
StorageOpt = Annotated[
    list[str] | None, typer.Option("--storage-opt", metavar="K=V", help="Beyond the adapter's own options.")
]
SCENARIOS = Path("scenarios/steps")
BUDGET = 200  # second faults of an exploration of depth 2
# The option that sets a scenario's key
OPTION_OF = {
    "victims": "--victim",
    "errnos": "--errno",
    "steps": "--step",
    "given": "--given",
    "recovery": "--recovery",
    "deadline": "--deadline",
    "fault": "--fault",
}
UNNAMED_IN_IDS = ("fresh", "init")  # values that the name of an exploration, and so its trials' ids, leave out


@app.command()
def run(
    driver: Driver,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help=f"Scenario files or directories; by default {SCENARIOS}."),
    ] = None,
    provider: Provider = ProviderName.QEMU,
    seed: Seed = None,
    out: Out = None,
    workers: Workers = 1,
    select: Annotated[str, typer.Option("-k", metavar="EXPR", help="Only trials whose id matches this.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in '--out'.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the results in '--out'.")] = False,
    baseline: Baseline = None,
    confirm: Confirm = CONFIRM,
    repeat: Repeat = 0,
) -> int:
    """Run the trials of scenario files against a driver."""
    from crashinit import scenario

    find = functools.partial(scenario.find, paths or [SCENARIOS])
    vms = machines(provider, seed)
    return _campaign(find, driver, vms, out, workers, select, baseline, (confirm, repeat), resume=resume, force=force)


def _campaign(
    find: "Callable[[], Sequence[Scenario]]",
    driver: str,
    provider: str,
    out: Path | None,
    workers: int,
    select: str,
    baseline: Path | None,
    tries: tuple[int, int],
    *,
    resume: bool,
    force: bool,
    second: int = 0,
) -> int:
    """A campaign with all its reports; the exit code that the results deserve."""
    from crashinit import adapters, campaign
    from crashinit.place import claimed
    from crashinit.report import baseline as known_failures
    from crashinit.report import read
    from crashinit.report.results import finished_ids
    from crashinit.selection import matcher
    from crashinit.tries import HowOften

    selected = matcher(select) if select else lambda _: True
    known = known_failures.load(baseline) if baseline else None
    directory = run_directory(out, adapters.load(driver).name, resume=resume, force=force)
    with claimed(directory, resume=resume, force=force):
        done = finished_ids(directory) if resume else None
        earlier = read(directory).results if resume else ()
        with run_reports(directory, resume=resume) as emit:
            campaign.run(
                find(),
                driver,
                provider,
                directory,
                workers,
                selected,
                emit,
                second=second,
                done=done,
                earlier=earlier,
                often=HowOften(*tries),
                expression=select,
            )
    return exit_code(directory, known)


class FaultName(StrEnum):
    """What is done at a boundary."""

    KILL = "kill"
    ERRNO = "errno"
    POWER_CUT = "power-cut"


class GivenName(StrEnum):
    """The root that an init without faults begins with."""

    FRESH = "fresh"
    POPULATED = "populated"


@app.command()
def explore(
    driver: Driver,
    fault: Annotated[FaultName, typer.Option("--fault", help="What is done at each boundary of the init.")],
    step: Annotated[list[str] | None, typer.Option("--step", metavar="S", help="Only boundaries in this step.")] = None,
    depth: Annotated[
        int, typer.Option("--depth", min=1, max=2, help="2: strike the inits after a kill or a power cut as well.")
    ] = 1,
    budget: Annotated[
        int | None,
        typer.Option("--budget", metavar="N", min=1, help=f"With '--depth 2': how many; by default {BUDGET}."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="With '--depth 2': every second crash.")] = False,
    error: Annotated[str, typer.Option("--errno", metavar="E,...", help="With '--fault errno': only these.")] = "",
    victim: Annotated[list[str] | None, typer.Option("--victim", metavar="V", help="process or tree.")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="G",
            help="The root before: fresh (default) or populated; of a power cut: ext4, xfs, block (default all), "
            "ext4-populated, ...",
        ),
    ] = None,
    recovery: Annotated[
        str | None, typer.Option("--recovery", metavar="R", help="init (default), or reboot and then init.")
    ] = None,
    representative: Annotated[
        bool, typer.Option("--representative", help="Of the same operations in a row: first, middle and last.")
    ] = False,
    storage_opt: StorageOpt = None,
    deadline: Annotated[float, typer.Option("--deadline", metavar="S", help="Seconds that one init may take.")] = 60.0,
    provider: Provider = ProviderName.QEMU,
    seed: Seed = None,
    out: Out = None,
    workers: Workers = 1,
    select: Annotated[str, typer.Option("-k", metavar="EXPR", help="Only trials whose id matches this.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in '--out'.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the results in '--out'.")] = False,
    baseline: Baseline = None,
    confirm: Confirm = CONFIRM,
    repeat: Repeat = 0,
) -> int:
    """Strike every boundary of a driver's init."""
    from crashinit import adapters, scenario

    if depth == 2 and fault is FaultName.ERRNO:
        raise UsageError("'--depth 2' strikes the init after a crash: it goes with '--fault kill' or 'power-cut'.")
    if depth == 1 and (budget or everything):
        raise UsageError("'--budget' and '--all' choose among second faults: give '--depth 2' as well.")
    if fault is FaultName.POWER_CUT:
        from crashinit.powercut.layout import layouts_of

        roots = given or layouts_of(adapters.load(driver))
    else:
        roots = given or ["fresh"]
    asked: dict[str, object] = {
        "victims": victim,
        "recovery": recovery,
        "errnos": [word.strip().upper() for word in error.split(",")] if error else None,
    }
    scenarios = [
        scenario.from_options(
            {
                "title": f"Every boundary of the init is struck: {fault.value}.",
                "name": "/".join(
                    [
                        "explore",
                        fault.value,
                        *(word for word in (root, recovery) if word and word not in UNNAMED_IN_IDS),
                    ]
                ),
                "fault": fault.value,
                "step": "all",
                "steps": step or (),
                "given": root,
                "representative": representative,
                "options": storage_opt or (),
                "deadline": deadline,
                **{key: value for key, value in asked.items() if value},
            },
            OPTION_OF,
        )
        for root in dict.fromkeys(roots)
    ]
    second = 0 if depth == 1 else sys.maxsize if everything else budget or BUDGET
    return _campaign(
        lambda: scenarios,
        driver,
        machines(provider, seed),
        out,
        workers,
        select,
        baseline,
        (confirm, repeat),
        resume=resume,
        force=force,
        second=second,
    )


@app.command()
def trace(
    driver: Driver,
    given: Annotated[GivenName, typer.Option("--given", help="The root before.")] = GivenName.FRESH,
    storage_opt: StorageOpt = None,
    provider: Provider = ProviderName.QEMU,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list, for other programs.")] = False,
) -> int:
    """The operations of one init without faults, with their steps."""
    from crashinit import campaign
    from crashinit.plan import Setup

    setup = Setup(given.value, tuple(storage_opt or ()), 60.0)
    with run_reports(None, stderr=True) as emit:
        operations = campaign.trace(driver, provider.value, setup, emit)
    if as_json:
        say(json.dumps([{"step": step, **operation.model_dump()} for step, operation in operations], indent=2))
        return OK if operations else NOTHING_RAN
    width = max((len(operation.key) for _, operation in operations), default=0)
    for step, operation in operations:
        say(one_line(f"{operation.n:4}  {step or '-':13}  {operation.key:{width}}  {operation.program}"))
    return OK if operations else NOTHING_RAN


@app.command()
def replay(
    target: Annotated[str, typer.Argument(metavar="TRIAL|PLAN", help="A trial's id, or the path of a plan.json.")],
    source: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="The run that planned it; by default the newest that did."),
    ] = None,
    provider: Provider = ProviderName.QEMU,
    seed: Seed = None,
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
    confirm: Confirm = CONFIRM,
    repeat: Repeat = 0,
) -> int:
    """One trial again, or all trials of a plan."""
    from crashinit import campaign, kept
    from crashinit.contract.clauses import CLAUSES
    from crashinit.place import claimed
    from crashinit.selection import matcher
    from crashinit.tries import HowOften

    vms = machines(provider, seed)
    if clause and clause not in CLAUSES:
        raise UsageError(f"'{clause}' is no clause: they are {', '.join(CLAUSES)}.")
    plan, trials = _planned(target, source)
    if select:
        trials = list(filter(lambda trial: matcher(select)(trial.id), trials))
    if clause and not failed:
        raise UsageError("'--clause' chooses among failures: give '--failed' as well.")
    if failed:
        trials = _failed(trials, plan.parent, clause)
    if not trials:
        return fail(f"error: nothing ran: no trial of '{plan}' matches '{select}'.", NOTHING_RAN)
    if shell:
        return _shell(trials, vms, plan.parent)
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
            often=HowOften(confirm, repeat),
        )
    return exit_code(directory)


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
    from crashinit.campaign import make_runner
    from crashinit.shell import Shell

    if len(trials) != 1:
        raise UsageError(f"'--shell' needs one trial, but this plan holds {len(trials)}: give a trial's id.")
    if trials[0].fault == "power-cut":
        raise UsageError("'--shell' holds an init before its fault, and a power cut's trial begins after it.")
    with (
        make_runner(trials[0].driver, provider, planned) as runner,
        runner.held(trials[0]) as (recording, driven),
    ):
        gate = recording.state["gate"]
        Shell(trials[0], recording, driven, lambda: runner.strike(driven, gate, trials[0])).cmdloop()
    return OK


def _planned(target: str, source: Path | None) -> "tuple[Path, list[Trial]]":
    """The plan that holds these trials, and the trials."""
    from crashinit import plan

    if Path(target).suffix == ".json":
        path = Path(target)
        trials = plan.read(path)
        plan.refuse_empty(path, trials)
        return path, trials
    found = _runs_with(target, source)
    drivers = {trial.driver: path for path, trials in reversed(found) for trial in trials}
    if len(drivers) > 1:
        choice = ", ".join(f"'--run {path.parent}' ({driver})" for driver, path in drivers.items())
        raise UsageError(f"runs of several drivers have a trial '{target}': give one of {choice}.")
    if found:
        return found[0]
    where = f"the plan of '{source}'" if source else f"any plan below '{REPORTS}/'"
    raise UsageError(f"no trial '{target}' in {where}: name its run with '--run DIR', or the path of a plan.json.")


def _runs_with(target: str, source: Path | None) -> "list[tuple[Path, list[Trial]]]":
    """The plans with this trial, of one run if it is named, else of those below 'reports/', the newest first."""
    from crashinit import kept, plan

    if source is not None:
        paths = [source / kept.PLAN]
    else:
        paths = sorted(REPORTS.glob(f"*/{kept.PLAN}"), key=lambda path: path.stat().st_mtime, reverse=True)
    found = []
    for path in paths:
        try:
            trials = [trial for trial in plan.read(path) if trial.id == target]
        except UsageError:
            if source is not None:
                raise
            continue  # a run that is damaged is none of those that were meant
        if trials:
            found.append((path, trials))
    return found
