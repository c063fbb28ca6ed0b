"""The application: its options' types, its exit codes, and what every command needs."""

import os
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from crashinit.text.printable import one_line, printable

if TYPE_CHECKING:
    from crashinit.baseline.known import Known
    from crashinit.report import Reports
    from crashinit.scenario.expected import Failure

OK, FAILED, INTERRUPTED, HARNESS_ERROR, USAGE_ERROR, NOTHING_RAN = range(6)

app = typer.Typer(
    help="Crash-tests the initialisation of storage drivers: kill it at every step, run it again, "
    "check that it converged.",
    epilog="Exit codes: 0 all converged, 1 some trial diverged or did not fire, or the driver fails without a fault, "
    "2 interrupted, 3 harness error or planned trials without a result, 4 usage error, 5 nothing ran. "
    "CRASHINIT_DEBUG=1 shows the traceback of an error.",
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        say(f"crashinit {version('crashinit')}")
        raise typer.Exit


@app.callback()
def program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """What goes for every command; with none, the help."""
    if context.invoked_subcommand is None:
        say(context.get_help())


class ProviderName(StrEnum):
    """Where machines come from."""

    QEMU = "qemu"
    QEMU_COLD = "qemu-cold"
    QEMU_REAL = "qemu-real"
    QEMU_VIRTUAL = "qemu-virtual"
    VAGRANT = "vagrant"


def _drivers(incomplete: str) -> list[str]:
    """What Tab makes of the beginning of a driver's name."""
    from crashinit import adapters

    return [name for name in adapters.names() if name.startswith(incomplete)]


Driver = Annotated[
    str,
    typer.Option(
        "--driver", metavar="D", help="An adapter's name, or an adapter file's path.", autocompletion=_drivers
    ),
]
Drivers = Annotated[
    list[str],
    typer.Option(
        "--driver",
        metavar="D",
        help="An adapter's name, or an adapter file's path; several, and each is run.",
        autocompletion=_drivers,
    ),
]
DriversOrNone = Annotated[
    list[str] | None,
    typer.Option(
        "--driver",
        metavar="D",
        help="As for other commands; several, and each is run. By default those that all scenarios name in 'expect'.",
        autocompletion=_drivers,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="What the adapter says otherwise, such as a file of your own."),
]
Provider = Annotated[ProviderName, typer.Option("--provider", help="Where machines come from.")]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, help="In virtual time: of clocks, random numbers, delays."),
]
Guest = Annotated[
    str,
    typer.Option("--guest", metavar="G", help="What machines run: a guest's name, or a guest file's path."),
]
Guests = Annotated[
    list[str] | None,
    typer.Option("--guest", metavar="G", help="What machines run: a guest's name or file; several, and each is tried."),
]
WORKERS = 64  # at once: each has a machine, and more than the host has processors for only wait for one another
Workers = Annotated[int, typer.Option("-n", metavar="N", min=1, max=WORKERS, help="How many trials run side by side.")]
Confirm = Annotated[
    int, typer.Option("--confirm", metavar="N", min=0, help="More tries of a trial that diverged: how often it comes.")
]
Seeds = Annotated[
    int,
    typer.Option(
        "--seeds", metavar="K", min=1, help="Try every trial under K seeds, from '--seed' on: K interleavings of it."
    ),
]
Repeat = Annotated[
    int, typer.Option("--repeat", metavar="N", min=0, help="More tries of every trial, also of one that converged.")
]
NoMerge = Annotated[
    bool,
    typer.Option("--no-merge", help="Run each trial in full, also where its fault leaves the state of another trial."),
]
MaxTime = Annotated[
    str,
    typer.Option(
        "--max-time",
        metavar="T",
        help="Begin no more trials after this time (90s, 5m, 1h); those that are likely to tell most come first.",
    ),
]
ShardOption = Annotated[
    str,
    typer.Option("--shard", metavar="K/N", help="Only the share K of N of the trials; 'crashinit merge' joins them."),
]
Baseline = Annotated[
    Path | None, typer.Option("--baseline", metavar="FILE", help="Failures that are known (TOML); all else fails.")
]
# Not readable is told by a sentence of ours, which says what to do
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", readable=False, help="Where results go; by default reports/<run>."),
]
RunDirectory = Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="The directory of a run.")]


def fail(sentence: str, code: int) -> int:
    if os.environ.get("CRASHINIT_DEBUG") and sys.exc_info()[0]:
        import traceback

        traceback.print_exc()
    try:
        # Further lines, of what a guest said, are indented: none of them passes for a line of ours.
        say(printable(f"crashinit: {sentence}").replace("\n", "\n    "), sys.stderr)
    except OSError:  # the terminal is gone: nobody listens, also not at exit
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def warn(sentence: str) -> None:
    """One sentence on standard error, where the command goes on; nothing for ""."""
    if sentence:
        fail(sentence, OK)


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a text, by default to standard output. Whatever is in it, it does nothing to the terminal."""
    print(printable(text, None), file=stream or sys.stdout)


def machines(provider: ProviderName, seed: int | None, seeds: int = 1, guest: str = "") -> str:
    """The provider's name, with the seed of its machines, or the first of `seeds`, and their guest.

    Raises UsageError if the provider has no seed, or there is no such guest.
    """
    from crashinit.machine.guests import DEFAULT, load
    from crashinit.machine.seed import seeded, with_guest

    load(guest or DEFAULT)
    return with_guest(seeded(provider.value, "" if seed is None else str(seed), seeds), guest)


def run_reports(
    directory: Path | None, *, resume: bool = False, stderr: bool = False, quiet: bool = False
) -> "Reports":
    from rich.console import Console

    from crashinit.report import listeners

    return listeners(directory, console=Console(stderr=stderr, quiet=quiet), resume=resume)


def exit_code(
    directory: Path,
    known: "Sequence[Known] | None" = None,
    expectations: "Mapping[str, Failure | str] | None" = None,
) -> int:
    """The exit code that a run's results deserve, held against the failures that are known, or that are expected.

    A planned trial without a result is never a pass: 2 when the run was interrupted, else 3.
    """
    from crashinit.baseline.held import held
    from crashinit.report import read
    from crashinit.report.gaps import Gaps

    run = read(directory)
    if not run.results and not run.not_run:
        return fail("error: nothing ran: no trial matches.", NOTHING_RAN)
    against = held(directory, run, known, expectations)
    for sentence in against.sentences:
        say(one_line(sentence))
    if against.wrong:
        return FAILED
    outcomes = {result.outcome for result in against.judged}
    if outcomes & {"diverged", "not-fired"}:
        return FAILED
    if run.not_run:
        return fail(Gaps(run).missing(), INTERRUPTED if run.interrupted else HARNESS_ERROR)
    return HARNESS_ERROR if "error" in outcomes else OK
