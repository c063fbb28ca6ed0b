"""Commands that plan trials of scenario files, and the list of what an init does: run, trace."""

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crashinit.cli.app import (
    NOTHING_RAN,
    OK,
    Baseline,
    Confirm,
    Driver,
    DriversOrNone,
    Guest,
    Guests,
    MaxTime,
    NoMerge,
    Out,
    Provider,
    ProviderName,
    Repeat,
    Seed,
    Seeds,
    Settings,
    ShardOption,
    Workers,
    app,
    exit_code,
    machines,
    run_reports,
    say,
)
from crashinit.cli.cluster import Hosts, Scheduler, Tls, crew
from crashinit.errors import UsageError
from crashinit.model.events import CONFIRM
from crashinit.run.directory import run_directory
from crashinit.text.printable import one_line

if TYPE_CHECKING:
    from crashinit.campaign.workers import Engine
    from crashinit.scenario.scenario import Scenario

StorageOpt = Annotated[
    list[str] | None, typer.Option("--storage-opt", metavar="K=V", help="Beyond the adapter's own options.")
]
SCENARIOS = Path("scenarios/steps")
FRESH = "fresh"


@app.command()
def run(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help=f"Scenario files or directories; by default {SCENARIOS}."),
    ] = None,
    driver: DriversOrNone = None,
    provider: Provider = ProviderName.QEMU,
    seed: Seed = None,
    guest: Guests = None,
    settings: Settings = None,
    out: Out = None,
    workers: Workers = 1,
    select: Annotated[str, typer.Option("-k", metavar="EXPR", help="Only trials whose id matches this.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in '--out'.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the results in '--out'.")] = False,
    baseline: Baseline = None,
    confirm: Confirm = CONFIRM,
    repeat: Repeat = 0,
    seeds: Seeds = 1,
    no_merge: NoMerge = False,
    shard: ShardOption = "",
    max_time: MaxTime = "",
    scheduler: Scheduler = "",
    hosts: Hosts = None,
    tls: Tls = None,
) -> int:
    """Run the trials of scenario files: one driver on one guest, or several of either, and then a table of all.

    Without '--driver' each scenario runs on the drivers of which it expects something, and the run passes if all of it
    is met; what is expected to fail is not tried again to confirm it.
    """
    from crashinit import adapters
    from crashinit.cli import matrix, named
    from crashinit.machine.guests import DEFAULT as DEFAULT_GUEST
    from crashinit.scenario import scenario

    find = functools.partial(scenario.find, paths or [SCENARIOS])
    chosen = driver or named.drivers(find(), paths or [SCENARIOS])
    drivers = [adapters.changed(name, settings or ()) for name in chosen]
    guests = guest or [""]
    if not driver and confirm == CONFIRM:
        confirm = 0

    def one(engine: "int | Engine", name: str, system: str, directory: Path | None, going_on: bool) -> int:
        return campaign(
            find,
            name,
            machines(provider, seed, seeds, system),
            directory,
            engine,
            select,
            baseline,
            (confirm, repeat, seeds, not no_merge),
            shard=shard,
            max_time=max_time,
            resume=going_on,
            force=force,
        )

    with crew(workers, scheduler, hosts, tls) as engine:
        if len(drivers) == len(guests) == 1:
            return one(engine, drivers[0], guests[0], out, resume)
        every = matrix.pairs(drivers, guest or [DEFAULT_GUEST], out, resume=resume, force=force)
        find()  # what is wrong there is wrong for all
        return matrix.run_all(
            every, lambda pair: one(engine, pair.driver, pair.guest, pair.directory, pair.resume), some_idle=not driver
        )


def campaign(
    find: "Callable[[], Sequence[Scenario]]",
    driver: str,
    provider: str,
    out: Path | None,
    workers: "int | Engine",
    select: str,
    baseline: Path | None,
    tries: tuple[int, int, int, bool],
    *,
    resume: bool = False,
    force: bool = False,
    second: int = 0,
    quiet: bool = False,
    shard: str = "",
    max_time: str = "",
    selected: Callable[[str], bool] | None = None,
) -> int:
    """A campaign with all its reports; the exit code that the results deserve."""
    from crashinit import adapters
    from crashinit.baseline.known import load
    from crashinit.campaign import campaign as campaigns
    from crashinit.campaign.limit import seconds_of
    from crashinit.campaign.shard import Shard
    from crashinit.campaign.tries import HowOften
    from crashinit.report import read
    from crashinit.report.results import finished_ids
    from crashinit.run.place import claimed
    from crashinit.scenario.concerned import concerned
    from crashinit.scenario.selection import matcher

    selected = matcher(select) if select else selected or (lambda _: True)
    known = load(baseline) if baseline else None
    share = Shard.parse(shard) if shard else None
    limit = seconds_of(max_time) if max_time else None
    if share and second:
        raise UsageError("'--shard' shares out a plan, and second faults are planned only once the first have run.")
    name = adapters.load(driver).name
    directory = run_directory(out, name, resume=resume, force=force)
    with claimed(directory, resume=resume, force=force):
        done = finished_ids(directory) if resume else None
        earlier = read(directory).results if resume else ()
        scenarios = concerned(find(), name)
        with run_reports(directory, resume=resume, quiet=quiet) as emit:
            campaigns.run(
                scenarios,
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
                shard=share,
                limit=limit,
            )
    expectations = {one.name: one.expect[name] for one in scenarios if name in one.expect}
    return exit_code(directory, known, expectations)


@app.command()
def trace(
    driver: Driver,
    given: Annotated[
        str, typer.Option("--given", metavar="G", help="The root before: fresh, populated, or made-by:ADAPTER@GUEST.")
    ] = FRESH,
    storage_opt: StorageOpt = None,
    provider: Provider = ProviderName.QEMU,
    guest: Guest = "",
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list, for other programs.")] = False,
) -> int:
    """The operations of one init without faults, with their steps."""
    from crashinit import adapters
    from crashinit.campaign import planning
    from crashinit.model.trial import Setup, on_the_machines_disk

    driver = adapters.changed(driver, settings or ())
    if not on_the_machines_disk(given):
        raise UsageError(f"'--given' is '{given}', but may only be fresh, populated, or made-by:ADAPTER@GUEST.")
    setup = Setup(given, tuple(storage_opt or ()), 60.0)
    with run_reports(None, stderr=True) as emit:
        operations = planning.trace(driver, machines(provider, None, guest=guest), setup, emit)
    if as_json:
        say(json.dumps([{"step": step, **operation.model_dump()} for step, operation in operations], indent=2))
        return OK if operations else NOTHING_RAN
    width = max((len(operation.key) for _, operation in operations), default=0)
    for step, operation in operations:
        say(one_line(f"{operation.n:4}  {step or '-':13}  {operation.key:{width}}  {operation.program}"))
    return OK if operations else NOTHING_RAN
