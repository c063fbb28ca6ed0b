"""In which version of a driver, or on which guest, a failure appears or goes: bisect."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from crashinit.cli.app import (
    FAILED,
    OK,
    Drivers,
    Guests,
    Out,
    Provider,
    ProviderName,
    Seed,
    Settings,
    Workers,
    app,
    fail,
    machines,
    say,
)
from crashinit.cli.trials import SCENARIOS, campaign
from crashinit.errors import CrashinitError, UsageError
from crashinit.run.directory import run_directory
from crashinit.text.printable import one_line

NUMBER = re.compile(r"-\d+(?=[-/]|$)")  # which one of several an operation is: another one in another version


@app.command()
def bisect(
    driver: Drivers,
    trial: Annotated[str, typer.Option("--trial", metavar="ID", help="A trial that fails in one of the versions.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help=f"The scenarios that it is of; by default {SCENARIOS}."),
    ] = None,
    clause: Annotated[
        str, typer.Option("--clause", metavar="C", help="The failure: this clause; by default whatever fails.")
    ] = "",
    provider: Provider = ProviderName.QEMU,
    seed: Seed = None,
    guest: Guests = None,
    settings: Settings = None,
    out: Out = None,
    workers: Workers = 1,
) -> int:
    """Between which two versions a failure appears or goes.

    The versions are several drivers ('--driver', in their order) on one guest, or one driver on several guests. Each is
    tried with only this trial, and those that differ from it in the operation's number: the ends first, then halves.
    Ends with 0 if the change was found, else with 1.
    """
    from crashinit import adapters, families
    from crashinit.campaign.bisection import Change
    from crashinit.campaign.bisection import bisect as search
    from crashinit.machine.guests import DEFAULT, load
    from crashinit.scenario import scenario

    guests = guest or [DEFAULT]
    if len(driver) > 1 and len(guests) > 1:
        raise UsageError("the versions are drivers on one guest or one driver on several guests: name one of either.")
    if max(len(driver), len(guests)) < 2:
        raise UsageError("there is nothing to halve: name two versions or more, by '--driver' or by '--guest'.")
    if clause and clause not in families.clauses():
        raise UsageError(f"'{clause}' is no clause: they are {', '.join(families.clauses())}.")
    drivers = [adapters.changed(name, settings or ()) for name in driver]
    versions = [(name, system) for name in drivers for system in guests]
    called = [adapters.load(name).name if len(drivers) > 1 else load(system).name for name, system in versions]
    if twice := next((name for name in called if called.count(name) > 1), ""):
        raise UsageError(f"two versions are called '{twice}': give each adapter file a 'name' of its own.")
    vms = [machines(provider, seed, guest=system) for _, system in versions]
    find = functools.partial(scenario.find, paths or [SCENARIOS])
    find()  # what is wrong there is wrong for all versions
    place = run_directory(out, f"bisect-{adapters.load(drivers[0]).name}", resume=False, force=False)
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise UsageError(f"'{place}' has to be a new or an empty directory: name another '--out'.")

    def fails(version: int) -> bool | None:
        directory = place / f"{version + 1}-{called[version]}"
        try:
            campaign(
                find, versions[version][0], vms[version], directory, workers, "", None, (0, 0, 1, True),
                selected=lambda name: same_but_for_numbers(name, trial), quiet=True,
            )  # fmt: skip
            found = answer(directory, clause)
        except CrashinitError as error:
            fail(f"{called[version]}: {error}", OK)
            found = None
        state = "unclear" if found is None else "fails" if found else "does not fail"
        say(one_line(f"{called[version]}: {state} ({directory})"))
        return found

    result = search(len(versions), fails)
    what = f"'{trial}'{f' {clause}' if clause else ''}"
    if isinstance(result, Change):
        say(one_line(change(what, called, result.before, result.after, result.fails_before)))
        say(f"{len(result.tried)} of {len(versions)} versions were tried.")
        return OK
    return fail(f"error: {no_change(what, called, result.first, result.last)}", FAILED)


def same_but_for_numbers(name: str, trial: str) -> bool:
    """Whether two ids are of one trial in two versions, whose operations are numbered otherwise."""
    return NUMBER.sub("", name) == NUMBER.sub("", trial)


def answer(directory: Path, clause: str) -> bool | None:
    """Whether some trial of a run fails, with this clause if one is named; None: none was judged."""
    from crashinit.report import read
    from crashinit.report.counts import judged

    results = judged(read(directory).results)
    if not results:
        return None
    return any(result.clauses.get(clause) == "fail" if clause else result.outcome == "diverged" for result in results)


def change(what: str, called: Sequence[str], before: int, after: int, fails_before: bool) -> str:
    """Where it changed, as a sentence."""
    there, gone = "fails up to", "fails no more from"
    if not fails_before:
        there, gone = "does not fail up to", "fails from"
    unclear = called[before + 1 : after]
    between = f"; unclear between them: {', '.join(unclear)}" if unclear else ""
    return f"{what} {there} {called[before]} and {gone} {called[after]} on{between}."


def no_change(what: str, called: Sequence[str], first: bool | None, last: bool | None) -> str:
    """Why there is nothing to halve, as a sentence."""
    for name, state in ((called[0], first), (called[-1], last)):
        if state is None:
            return f"{what} is unclear in {name}, one of the ends: name another version there."
    does = "fails" if first else "does not fail"
    return f"{what} {does} in {called[0]} and {does} in {called[-1]}: there is no change to find between them."
