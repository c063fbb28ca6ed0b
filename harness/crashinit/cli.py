"""The `crashinit` command: parses, calls, prints.

Exit codes are pytest's: 0 all converged, 1 some trial diverged or did not fire (or two runs differ), 2 interrupted,
3 harness error, 4 usage error, 5 nothing ran. What the commands need is imported when they run, so that --help is fast.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crashinit.errors import CrashinitError, UsageError

if TYPE_CHECKING:
    from crashinit.plan import Trial
    from crashinit.report import Reports
    from crashinit.scenario import Scenario

OK, FAILED, INTERRUPTED, HARNESS_ERROR, USAGE_ERROR, NOTHING_RAN = range(6)
SCENARIOS = Path("scenarios/steps")
REPORTS = Path("reports")
NAMED = ("populated", "reboot")  # what an exploration bears in its name, because it is not the default

app = typer.Typer(
    help="Crash-tests the initialisation of storage drivers: kill it at every step, run it again, "
    "check that it converged.",
    epilog="Exit codes: 0 all converged, 1 some trial diverged or did not fire, 2 interrupted, 3 harness error, "
    "4 usage error, 5 nothing ran. CRASHINIT_DEBUG=1 shows the traceback of an error.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class ProviderName(StrEnum):
    """Where machines come from."""

    QEMU = "qemu"
    VAGRANT = "vagrant"


Driver = Annotated[str, typer.Option("--driver", metavar="D", help="An adapter's name, or an adapter file's path.")]
Provider = Annotated[ProviderName, typer.Option("--provider", help="Where machines come from.")]
Workers = Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many trials run side by side.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where results go; by default reports/<run>.")]


@app.command()
def doctor() -> int:
    """What this host can do, and what is missing."""
    from crashinit.doctor import examine

    findings = examine()
    for finding in findings:
        state = finding.state.upper() if finding.state == "missing" else finding.state
        print(f"{state:8} {finding.name}: {finding.text}")
        if finding.remedy:
            print(f"{'':8} {finding.remedy}")
    return OK if all(finding.ok or not finding.required for finding in findings) else HARNESS_ERROR


@app.command()
def run(
    driver: Driver,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help=f"Scenario files or directories; by default {SCENARIOS}."),
    ] = None,
    provider: Provider = ProviderName.QEMU,
    out: Out = None,
    workers: Workers = 1,
    select: Annotated[str, typer.Option("-k", metavar="EXPR", help="Only trials whose id matches this.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in '--out'.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the results in '--out'.")] = False,
) -> int:
    """Run the trials of scenario files against a driver."""
    from crashinit import scenario

    scenarios = scenario.find(paths or [SCENARIOS])
    return _campaign(driver, scenarios, provider, out, workers, select, resume=resume, force=force)


def _campaign(
    driver: str,
    scenarios: "list[Scenario]",
    provider: ProviderName,
    out: Path | None,
    workers: int,
    select: str,
    *,
    resume: bool,
    force: bool,
    second_crashes: int = 0,
) -> int:
    """Run scenarios with all reports; the exit code that the results deserve."""
    from crashinit import adapters, campaign
    from crashinit.report.results import finished_ids
    from crashinit.selection import matcher

    selected = matcher(select) if select else lambda _: True
    directory = _directory(out, adapters.load(driver).name, resume=resume, force=force)
    done = finished_ids(directory) if resume else frozenset()
    with _reports(directory, resume=resume) as reports:
        campaign.run(
            scenarios,
            driver,
            provider.value,
            directory,
            workers,
            lambda trial: trial not in done and selected(trial),
            reports,
            second_crashes=second_crashes,
        )
    return _code(directory)


class FaultName(StrEnum):
    """What is done at a boundary."""

    KILL = "kill"
    ERRNO = "errno"
    POWER_CUT = "power-cut"


@app.command()
def explore(
    driver: Driver,
    fault: Annotated[FaultName, typer.Option("--fault", help="What is done at each boundary of the init.")],
    step: Annotated[list[str] | None, typer.Option("--step", metavar="S", help="Only boundaries in this step.")] = None,
    depth: Annotated[int, typer.Option("--depth", min=1, max=2, help="2: crash the re-inits as well.")] = 1,
    budget: Annotated[int, typer.Option("--budget", metavar="N", min=1, help="With '--depth 2': how many.")] = 200,
    everything: Annotated[bool, typer.Option("--all", help="With '--depth 2': every second crash.")] = False,
    error: Annotated[str, typer.Option("--errno", metavar="E,...", help="With '--fault errno': only these.")] = "",
    victim: Annotated[list[str] | None, typer.Option("--victim", metavar="V", help="process or tree.")] = None,
    given: Annotated[str, typer.Option("--given", metavar="G", help="The root before: fresh or populated.")] = "fresh",
    recovery: Annotated[str, typer.Option("--recovery", metavar="R", help="init, or reboot and then init.")] = "init",
    representative: Annotated[
        bool, typer.Option("--representative", help="Of the same operations in a row: first, middle and last.")
    ] = False,
    storage_opt: Annotated[
        list[str] | None, typer.Option("--storage-opt", metavar="K=V", help="Beyond the adapter's own options.")
    ] = None,
    deadline: Annotated[float, typer.Option("--deadline", metavar="S", help="Seconds that one init may take.")] = 60.0,
    provider: Provider = ProviderName.QEMU,
    out: Out = None,
    workers: Workers = 1,
    select: Annotated[str, typer.Option("-k", metavar="EXPR", help="Only trials whose id matches this.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in '--out'.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the results in '--out'.")] = False,
) -> int:
    """Strike every boundary of a driver's init."""
    from crashinit import scenario

    if fault is FaultName.POWER_CUT:
        raise UsageError("'--fault power-cut' is not there yet: give kill or errno.")
    if depth == 2 and fault is not FaultName.KILL:
        raise UsageError("'--depth 2' crashes re-inits: it goes with '--fault kill' alone.")
    made = scenario.from_options(
        {
            "title": f"Every boundary of the init is struck: {fault.value}.",
            "name": "/".join(["explore", fault.value, *(word for word in (given, recovery) if word in NAMED)]),
            "fault": fault.value,
            "step": "all",
            "steps": step or (),
            "victims": victim or ("process", "tree"),
            "given": given,
            "recovery": recovery,
            "representative": representative,
            "options": storage_opt or (),
            "deadline": deadline,
            **({"errnos": [word.strip().upper() for word in error.split(",")]} if error else {}),
        }
    )
    second = 0 if depth == 1 else sys.maxsize if everything else budget
    return _campaign(driver, [made], provider, out, workers, select, resume=resume, force=force, second_crashes=second)


@app.command()
def trace(
    driver: Driver,
    provider: Provider = ProviderName.QEMU,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list, for other programs.")] = False,
) -> int:
    """The operations of one init without faults, with their steps."""
    from crashinit import campaign
    from crashinit.plan import Setup

    with _reports(None, stderr=True) as reports:
        operations = campaign.trace(driver, provider.value, Setup("fresh", (), 60.0), reports)
    if as_json:
        print(json.dumps([{"step": step, **operation.model_dump()} for step, operation in operations], indent=2))
        return OK if operations else NOTHING_RAN
    width = max((len(operation.key) for _, operation in operations), default=0)
    for step, operation in operations:
        print(f"{operation.n:4}  {step or '-':13}  {operation.key:{width}}  {operation.program}")
    return OK if operations else NOTHING_RAN


@app.command()
def replay(
    target: Annotated[str, typer.Argument(metavar="TRIAL|PLAN", help="A trial's id, or the path of a plan.json.")],
    source: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="The run that planned it; by default the newest that did."),
    ] = None,
    provider: Provider = ProviderName.QEMU,
    out: Out = None,
    workers: Workers = 1,
) -> int:
    """One trial again, or all trials of a plan."""
    from crashinit import campaign

    plan, trials = _planned(target, source)
    directory = _directory(out, "replay", resume=False, force=False)
    with _reports(directory) as reports:
        campaign.run_trials(
            campaign.read_prepared(plan.parent), trials, trials[0].driver, provider.value, directory, workers, reports
        )
    return _code(directory)


@app.command()
def report(directory: Annotated[Path, typer.Argument(metavar="DIR", help="The directory of a run.")]) -> int:
    """Make a run's reports again from its results.jsonl."""
    from crashinit.report import remake

    remake(directory)
    print(directory / "report.html")
    return OK


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="The directory of a run.")],
    second: Annotated[Path, typer.Argument(metavar="DIR", help="The directory of another run.")],
) -> int:
    """What changed between two runs; exit 1 if anything did."""
    from crashinit.report import compare as comparing
    from crashinit.report import read

    comparison = comparing.compare(read(first), read(second))
    for change in comparison.changes:
        print(change.id)
        for detail in change.details:
            print(f"    {detail}")
    print(f"{comparison.common} trials are in both runs; {len(comparison.changes)} differ or are in one run only.")
    if not comparison.common:
        return NOTHING_RAN if comparison.equal else FAILED
    return OK if comparison.equal else FAILED


images = typer.Typer(help="What machines are made from.", rich_markup_mode=None)
app.add_typer(images, name="image")


@images.callback()
def _images() -> None:
    """A group, although it has one command so far."""


@images.command("box")
def image_box(
    packages: Annotated[
        list[str] | None, typer.Argument(metavar="PACKAGE", help="Debian packages beyond the standard ones.")
    ] = None,
) -> int:
    """Build the Vagrant box from Debian packages, if the cache does not hold it; print its path."""
    from crashinit.machine import box

    made = box.box(tuple(packages or ()), note=lambda text: print(text, file=sys.stderr))
    print(made.file)
    print(f"add it with: vagrant box add --force --name {box.NAME} {made.file}", file=sys.stderr)
    return OK


drivers = typer.Typer(help="The drivers that can be tested.", rich_markup_mode=None, invoke_without_command=True)
app.add_typer(drivers, name="drivers")


@drivers.callback()
def drivers_list(context: typer.Context) -> int:
    """List the drivers that can be tested, unless a command says otherwise."""
    from crashinit import adapters

    if context.invoked_subcommand is None:
        for name in adapters.names():
            print(f"{name:20} {adapters.load(name).title}")
    return OK


@drivers.command("check")
def drivers_check(
    driver: Annotated[str, typer.Argument(metavar="FILE", help="An adapter file's path, or an adapter's name.")],
    provider: Provider = ProviderName.QEMU,
    deadline: Annotated[float, typer.Option("--deadline", min=1, help="Seconds that the init may take.")] = 60.0,
) -> int:
    """Check an adapter file, then run one init without faults and judge it."""
    from crashinit import adapters
    from crashinit.drivers import check

    adapter = adapters.load(driver)
    print(f"{adapter.name}: {adapter.title}")
    found = check(driver, provider.value, deadline)
    ended = "got ready" if found.run.exit is None else "ended"
    print(f"without a fault its init {ended} after {found.run.seconds:.1f} s")
    print(f"operations: {', '.join(f'{step} {count}' for step, count in found.steps.items()) or 'none'}")
    for step, reason in adapter.absent.items():
        print(f"no step '{step}': {reason}")
    for step in found.unexplained:
        print(f"no step '{step}': if that is how the driver works, say why in [absent]")
    for clause, verdict in found.verdicts.items():
        print(f"{clause} {verdict.status:4} {verdict.reason}".rstrip())
    return OK if found.ok and not found.unexplained else FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; every error becomes one sentence on standard error and an exit code."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job gets its report too
    try:
        code = app(args=arguments, prog_name="crashinit", standalone_mode=False)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except CrashinitError as error:
        return _fail(f"error: {error}", error.exit_code)
    except typer.TyperException as error:
        return _fail(f"error: {error.format_message()} See 'crashinit --help'.", USAGE_ERROR)
    except BrokenPipeError:
        # The reader went away (`crashinit trace | head`): say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return HARNESS_ERROR
    except OSError as error:
        where = f"'{error.filename}': " if error.filename else ""
        return _fail(f"error: {where}{error.strerror or error}", HARNESS_ERROR)
    except Exception as error:
        return _fail(
            f"error: {type(error).__name__}: {error} (a fault of crashinit itself; CRASHINIT_DEBUG=1 shows where)",
            HARNESS_ERROR,
        )
    finally:
        signal.signal(signal.SIGTERM, previous)
    # typer turns a KeyboardInterrupt into 130.
    return _fail("interrupted", INTERRUPTED) if code == 130 else int(code or OK)


def _fail(sentence: str, code: int) -> int:
    if os.environ.get("CRASHINIT_DEBUG") and sys.exc_info()[0]:
        import traceback

        traceback.print_exc()
    print(f"crashinit: {sentence}", file=sys.stderr)
    return code


def _directory(out: Path | None, name: str, *, resume: bool, force: bool) -> Path:
    """The run's directory. Results that are already there are never replaced unless that is asked for."""
    from crashinit.report.results import RESULTS

    if resume and force:
        raise UsageError("'--resume' keeps the results and '--force' replaces them: give one of the two.")
    if out is None:
        if resume:
            raise UsageError("'--resume' needs '--out DIR': name the directory of the run to go on with.")
        return REPORTS / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    if out.exists() and not out.is_dir():
        raise UsageError(f"'{out}' is not a directory: name another '--out'.")
    held = (out / RESULTS).exists()
    if held and not (resume or force):
        raise UsageError(f"'{out}' holds results already: give '--resume' to go on, '--force' to replace them.")
    if resume and not held:
        raise UsageError(f"'{out}' holds no results to go on from: leave out '--resume'.")
    return out


def _reports(directory: Path | None, *, resume: bool = False, stderr: bool = False) -> "Reports":
    from rich.console import Console

    from crashinit.report import listeners

    return listeners(directory, console=Console(stderr=stderr), resume=resume)


def _code(directory: Path) -> int:
    """The exit code that a run's results deserve."""
    from crashinit.report import read

    outcomes = {result.outcome for result in read(directory).results}
    if not outcomes:
        return _fail("error: nothing ran: no trial matches.", NOTHING_RAN)
    if outcomes & {"diverged", "not-fired"}:
        return FAILED
    return HARNESS_ERROR if "error" in outcomes else OK


def _planned(target: str, source: Path | None) -> "tuple[Path, list[Trial]]":
    """The plan that holds these trials, and the trials."""
    from crashinit import campaign, plan

    if Path(target).suffix == ".json":
        path = Path(target)
        trials = plan.read(path)
        if not trials:
            raise UsageError(f"the plan '{path}' holds no trial.")
        return path, trials
    if source is not None:
        candidates = [source / campaign.PLAN]
    else:
        candidates = sorted(REPORTS.glob(f"*/{campaign.PLAN}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in candidates:
        trials = [trial for trial in plan.read(path) if trial.id == target]
        if trials:
            return path, trials
    where = f"the plan of '{source}'" if source else f"any plan below '{REPORTS}/'"
    raise UsageError(f"no trial '{target}' in {where}: name its run with '--run DIR', or the path of a plan.json.")


if __name__ == "__main__":
    sys.exit(main())
