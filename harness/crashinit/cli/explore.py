"""The command that plans trials at every boundary of an init: explore."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from crashinit.cli.app import (
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
    machines,
)
from crashinit.cli.cluster import Hosts, Scheduler, Tls, crew
from crashinit.cli.trials import StorageOpt, campaign
from crashinit.errors import UsageError
from crashinit.model.events import CONFIRM

BUDGET = 200  # second faults of an exploration of depth 2


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
    BAD_DISK = "bad-disk"
    SLOW = "slow"
    ERRNO = "errno"
    POWER_CUT = "power-cut"


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
            help="The root before: fresh (default), populated or made-by:ADAPTER@GUEST; of a "
            "power cut: ext4, xfs, block (default all), "
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
    during: Annotated[
        str | None,
        typer.Option(
            "--during",
            metavar="D",
            help="What is struck: init (default), shutdown, or a user's request: create, remove or use of a volume.",
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
    scheduler: Scheduler = "",
    hosts: Hosts = None,
    tls: Tls = None,
) -> int:
    """Strike every boundary of a driver's init."""
    from crashinit import adapters
    from crashinit.campaign.exploration import exploration
    from crashinit.model.trial import INIT

    driver = adapters.changed(driver, settings or ())
    if depth == 2 and fault not in (FaultName.KILL, FaultName.POWER_CUT):
        raise UsageError("'--depth 2' strikes the init after a crash: it goes with '--fault kill' or 'power-cut'.")
    if depth == 2 and during not in (None, INIT):
        raise UsageError("'--depth 2' strikes the init after a crash of an init: it goes without '--during'.")
    if depth == 1 and (budget or everything):
        raise UsageError("'--budget' and '--all' choose among second faults: give '--depth 2' as well.")
    asked: dict[str, object] = {
        "steps": step,
        "victims": victim,
        "recovery": recovery,
        "representative": representative,
        "options": storage_opt,
        "deadline": deadline,
        "seconds": seconds,
        "actor": actor,
        "release": release,
        "udev": udev,
        "during": during,
    }
    scenarios = exploration(driver, fault.value, given, error, asked)
    second = 0 if depth == 1 else sys.maxsize if everything else budget or BUDGET
    with crew(workers, scheduler, hosts, tls) as engine:
        return campaign(
            lambda: scenarios,
            driver,
            machines(provider, seed, seeds, guest),
            out,
            engine,
            select,
            baseline,
            (confirm, repeat, seeds, not no_merge),
            shard=shard,
            max_time=max_time,
            resume=resume,
            force=force,
            second=second,
        )
