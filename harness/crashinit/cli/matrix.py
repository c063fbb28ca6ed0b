"""Several drivers on several guests: a run of its own for each pair, and one table of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crashinit.cli.app import FAILED, HARNESS_ERROR, INTERRUPTED, NOTHING_RAN, OK, USAGE_ERROR, fail, say
from crashinit.errors import CrashinitError, NothingRanError, UsageError
from crashinit.run.directory import run_directory

WORST_FIRST = (INTERRUPTED, USAGE_ERROR, HARNESS_ERROR, FAILED, NOTHING_RAN, OK)


@dataclass(frozen=True)
class Pair:
    """One driver on one guest."""

    driver: str  # the adapter's name, or its file
    guest: str  # likewise
    directory: Path  # of its run
    resume: bool = False  # it holds results to go on from


def pairs(drivers: Sequence[str], guests: Sequence[str], out: Path | None, *, resume: bool, force: bool) -> list[Pair]:
    """All pairs, each with a directory of its own: below `out`, or beside one another below 'reports'.

    With `resume` those that were begun are gone on with, and the others begin. Raises UsageError, before anything
    runs, for an unknown driver or guest, one that is named twice, a place that holds a run, and nothing to go on with.
    """
    from crashinit import adapters
    from crashinit.machine.guests import load
    from crashinit.report.results import RESULTS
    from crashinit.run.kept import PLAN

    if out is not None and (out / PLAN).exists():
        raise UsageError(f"'{out}' holds a run: name another directory, in which each driver and guest gets its own.")
    named = [(driver, adapters.load(driver).name) for driver in drivers]
    systems = [(guest, load(guest).name) for guest in guests]
    for what, found in (("driver", named), ("guest", systems)):
        names = [name for _, name in found]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise UsageError(f"the {what} '{twice}' is named twice: in one table each can stand only once.")
    every: list[Pair] = []
    for driver, name in named:
        for guest, system in systems:
            called = f"{name}-{system}"
            directory = run_directory(out / called if out else None, called, resume=resume, force=force)
            every.append(Pair(driver, guest, directory, resume and (directory / RESULTS).exists()))
    if resume and not any(pair.resume for pair in every):
        raise UsageError(f"'{out}' holds no results to go on from: leave out '--resume'.")
    return every


def run_all(found: Sequence[Pair], run: Callable[[Pair], int], *, some_idle: bool = False) -> int:
    """Run each pair, and print the table. The exit code is that of the worst; an error of one pair stops no other.

    `some_idle`: a pair of which no trial was selected is none, as long as another one has some.
    """
    from rich.console import Console

    from crashinit.report import across, read
    from crashinit.report.results import RESULTS

    codes = []
    for number, pair in enumerate(found, 1):
        say(f"{number} of {len(found)}: {pair.driver} on {pair.guest}, into {pair.directory}")
        try:
            codes.append(run(pair))
        except CrashinitError as error:
            if some_idle and isinstance(error, NothingRanError):
                say(f"{pair.driver} on {pair.guest}: none of its trials is selected")
                codes.append(NOTHING_RAN)
                continue
            codes.append(fail(f"error: {pair.driver} on {pair.guest}: {error}", error.exit_code))
    there = [pair for pair in found if (pair.directory / RESULTS).exists()]
    Console().print(across.matrix({(pair.driver, pair.guest): read(pair.directory) for pair in there}, found_in(found)))
    say(across.MATRIX)
    if len(there) > 1:
        say(f"compare them with: crashinit compare {' '.join(str(pair.directory) for pair in there)}")
    busy = [code for code in codes if code != NOTHING_RAN] if some_idle else codes
    return min(busy or codes, key=WORST_FIRST.index)


def found_in(found: Sequence[Pair]) -> tuple[list[str], list[str]]:
    """The drivers and the guests, each in its order."""
    return list(dict.fromkeys(p.driver for p in found)), list(dict.fromkeys(p.guest for p in found))
