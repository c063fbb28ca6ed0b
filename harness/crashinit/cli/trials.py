"""Commands that plan trials: run, explore, trace."""

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
    Baseline,
    Confirm,
    Driver,
    Guest,
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
    run_directory,
    run_reports,
    say,
    seconds_of,
)
from crashinit.errors import UsageError
from crashinit.model.events import CONFIRM
from crashinit.text.printable import one_line

if TYPE_CHECKING:
    from crashinit.scenario.scenario import Scenario

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
    "seconds": "--seconds",
    "actor": "--actor",
    "release": "--release",
    "udev": "--udev",
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
    guest: Guest = "",
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
) -> int:
    """Run the trials of scenario files against a driver."""
    from crashinit import adapters
    from crashinit.scenario import scenario

    driver = adapters.changed(driver, settings or ())
    find = functools.partial(scenario.find, paths or [SCENARIOS])
    vms = machines(provider, seed, seeds, guest)
    return campaign(
        find,
        driver,
        vms,
        out,
        workers,
        select,
        baseline,
        (confirm, repeat, seeds, not no_merge),
        shard=shard,
        max_time=max_time,
        resume=resume,
        force=force,
    )


def campaign(
    find: "Callable[[], Sequence[Scenario]]",
    driver: str,
    provider: str,
    out: Path | None,
    workers: int,
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
) -> int:
    """A campaign with all its reports; the exit code that the results deserve."""
    from crashinit import adapters
    from crashinit.baseline.known import load
    from crashinit.campaign import campaign as campaigns
    from crashinit.campaign.shard import Shard
    from crashinit.campaign.tries import HowOften
    from crashinit.report import read
    from crashinit.report.results import finished_ids
    from crashinit.run.place import claimed
    from crashinit.scenario.selection import matcher

    selected = matcher(select) if select else lambda _: True
    known = load(baseline) if baseline else None
    share = Shard.parse(shard) if shard else None
    limit = seconds_of(max_time, "--max-time") if max_time else None
    if share and second:
        raise UsageError("'--shard' shares out a plan, and second faults are planned only once the first have run.")
    name = adapters.load(driver).name
    directory = run_directory(out, name, resume=resume, force=force)
    with claimed(directory, resume=resume, force=force):
        done = finished_ids(directory) if resume else None
        earlier = read(directory).results if resume else ()
        scenarios = [one.on(name) for one in find() if one.concerns(name)]
        if not scenarios:
            raise UsageError(f"no scenario expects anything of the driver '{name}': see 'expect' in them.")
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


class FaultName(StrEnum):
    """What is done at a boundary."""

    KILL = "kill"
    TERM = "term"
    INT = "int"
    SUPERVISOR = "supervisor"
    CHILD = "child"
    STOP = "stop"
    HANG = "hang"
    ACTOR = "actor"
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
    everything: Annotated[bool, typer.Option("--all", help="With '--depth 2': all, not a sample.")] = False,
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
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", metavar="S", help="Of 'supervisor', from SIGTERM to SIGKILL; of 'stop', how long (default 10)."
        ),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option(
            "--actor",
            metavar="A",
            help="Who else comes at the boundary: holder, reader, mount, second-init, other-owner, or a command.",
        ),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(
            "--release", metavar="R", help="When it lets go: before, during or after (default) the re-init, or never."
        ),
    ] = None,
    udev: Annotated[
        str | None,
        typer.Option(
            "--udev", metavar="U", help="udevd from the boundary on: settled, late, lost or stopped; default: as it is."
        ),
    ] = None,
    provider: Provider = ProviderName.QEMU,
    seed: Seed = None,
    guest: Guest = "",
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
) -> int:
    """Strike every boundary of a driver's init."""
    from crashinit import adapters
    from crashinit.model.fault import ACTORS
    from crashinit.scenario import scenario

    driver = adapters.changed(driver, settings or ())
    if depth == 2 and fault not in (FaultName.KILL, FaultName.POWER_CUT):
        raise UsageError("'--depth 2' strikes the init after a crash: it goes with '--fault kill' or 'power-cut'.")
    if depth == 1 and (budget or everything):
        raise UsageError("'--budget' and '--all' choose among second faults: give '--depth 2' as well.")
    if fault is FaultName.POWER_CUT:
        from crashinit.faults.powercut.layout import layouts_of

        roots = given or layouts_of(adapters.load(driver))
    else:
        roots = given or ["fresh"]
    asked: dict[str, object] = {
        "victims": victim,
        "recovery": recovery,
        "seconds": seconds,
        "actor": actor,
        "release": release,
        "udev": udev,
        "errnos": [word.strip().upper() for word in error.split(",")] if error else None,
    }
    beside = (
        ""
        if fault is FaultName.ACTOR or not actor
        else "-".join((actor if actor in ACTORS else "command", release or "after"))
    )
    scenarios = [
        scenario.from_options(
            {
                "title": f"Every boundary of the init is struck: {fault.value}.",
                "name": "/".join(
                    [
                        "explore",
                        fault.value,
                        *(
                            word
                            for word in (root, recovery, beside, f"udev-{udev}" if udev else "")
                            if word and word not in UNNAMED_IN_IDS
                        ),
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
    return campaign(
        lambda: scenarios,
        driver,
        machines(provider, seed, seeds, guest),
        out,
        workers,
        select,
        baseline,
        (confirm, repeat, seeds, not no_merge),
        shard=shard,
        max_time=max_time,
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
    guest: Guest = "",
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list, for other programs.")] = False,
) -> int:
    """The operations of one init without faults, with their steps."""
    from crashinit import adapters
    from crashinit.campaign import planning
    from crashinit.model.trial import Setup

    driver = adapters.changed(driver, settings or ())
    setup = Setup(given.value, tuple(storage_opt or ()), 60.0)
    with run_reports(None, stderr=True) as emit:
        operations = planning.trace(driver, machines(provider, None, guest=guest), setup, emit)
    if as_json:
        say(json.dumps([{"step": step, **operation.model_dump()} for step, operation in operations], indent=2))
        return OK if operations else NOTHING_RAN
    width = max((len(operation.key) for _, operation in operations), default=0)
    for step, operation in operations:
        say(one_line(f"{operation.n:4}  {step or '-':13}  {operation.key:{width}}  {operation.program}"))
    return OK if operations else NOTHING_RAN
