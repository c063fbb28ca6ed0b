"""The command that shows failures which people reported: repro."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crashinit.cli.app import (
    FAILED,
    OK,
    Provider,
    ProviderName,
    Seed,
    Workers,
    app,
    machines,
    say,
)
from crashinit.cli.named import adapter_of
from crashinit.cli.trials import campaign
from crashinit.errors import UsageError
from crashinit.run.directory import REPORTS
from crashinit.text.printable import one_line

if TYPE_CHECKING:
    from crashinit.scenario.expected import Report
    from crashinit.scenario.scenario import Scenario

SCENARIOS = Path("scenarios/reports")
REFERENCE = "reference"  # the driver of this project
SUCCEEDS = "C01"  # the clause that a refusal fails


@app.command()
def repro(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Of a report, such as moby-9644.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Print which reports there are.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The same as a table of docs/track-record.md.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show all of them.")] = False,
    note: Annotated[
        bool,
        typer.Option(
            "--note", help="Note the commit of this checkout for each that is shown, in the scenarios' directory."
        ),
    ] = False,
    provider: Provider = ProviderName.QEMU,
    seed: Seed = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", readable=False, help="Where results go; by default reports/repro."),
    ] = None,
    workers: Workers = 1,
) -> int:
    """Show a failure that somebody reported, and what the reference driver makes of the same."""
    known = scenarios()
    if markdown:
        say(table(known))
        return OK
    if listed:
        width = max(len(name) for name in known)
        for name, (report, one) in known.items():
            say(one_line(f"{name:{width}}  {report.year}  {', '.join(one.expect)}: {report.symptom}"))
        return OK
    if everything == bool(names):
        raise UsageError("name a report, or give '--all' or '--list': 'crashinit repro --list' prints the names.")
    for name in names or ():
        if name not in known:
            raise UsageError(f"there is no report '{name}': 'crashinit repro --list' prints the names.")
    from crashinit.scenario import shown

    chosen = [known[name] for name in names or known]
    at = shown.commit(SCENARIOS) if note else ""
    vms = machines(provider, seed)
    well = [report.name for report, one in chosen if show(report, one, vms, out or REPORTS / "repro", workers)]
    if note:
        shown.write(SCENARIOS, well, at)
    say(f"{len(well)} of {len(chosen)} reports shown")
    return OK if len(well) == len(chosen) else FAILED


def scenarios() -> "dict[str, tuple[Report, Scenario]]":
    """The scenarios that model a report, by its name."""
    from crashinit.scenario.scenario import find

    found = {one.report.name: (one.report, one) for one in find([SCENARIOS]) if one.report}
    return dict(sorted(found.items()))


def table(known: "dict[str, tuple[Report, Scenario]]") -> str:
    """The reports as a Markdown table."""
    from crashinit.scenario import shown
    from crashinit.scenario.scenario import located

    commits = shown.read(located(SCENARIOS))
    lines = [
        "| report | year | what was seen | fault | shown on | by | stays well | last shown at |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, (report, one) in known.items():
        failing = {driver: expected for driver, expected in one.expect.items() if not isinstance(expected, str)}
        wrong = {driver: expected for driver, expected in failing.items() if driver != REFERENCE}
        well = [driver for driver in one.expect if driver not in failing]
        if sound := failing.get(REFERENCE):  # it does what the report wished for, and a clause asks for more
            how = f"refuses: '{sound.says}'" if sound.fails == (SUCCEEDS,) else f"all but {', '.join(sound.fails)}"
            well.append(f"{REFERENCE} ({how})")
        clauses = ", ".join(clause for expected in wrong.values() for clause in expected.fails)
        what = f"`{one.fault}`{_company(one)}, at `{', '.join(one.at)}`"
        cells = (f"[{name}]({report.link})", str(report.year), report.symptom, what, ", ".join(wrong), clauses)
        lines.append(f"| {' | '.join((*cells, ', '.join(well), commits.get(name, '-')))} |")
    return "\n".join(lines)


def show(report: "Report", scenario: "Scenario", vms: str, out: Path, workers: int) -> bool:
    """One report on each driver of which it expects something; whether all came out as expected."""
    say(f"\n{report.name}: {report.symptom}")
    say(f"  reported {report.year}, {report.link}")
    say(f"  set up   a {scenario.given} root, fault '{scenario.fault}'{_company(scenario)}")
    as_expected = True
    for driver in scenario.expect:
        directory = out / report.name / driver
        adapter, once = adapter_of(driver, [SCENARIOS]), (0, 0, 1, True)
        code = campaign(
            lambda: [scenario],
            adapter,
            vms,
            directory,
            workers,
            "",
            None,
            once,
            force=True,
            quiet=True,
        )
        as_expected &= code == OK
        for line in told(directory):
            say(f"  {line}")
    say(f"  why      {' '.join(report.cause.split())}")
    return as_expected


def told(directory: Path) -> list[str]:
    """What came of a run of one scenario, in a few lines."""
    from crashinit.report import read
    from crashinit.report.again import replay

    lines: list[str] = []
    run = read(directory)
    for result in run.results:
        name = Path(run.driver).stem
        lines.append(f"{name}: struck before operation {result.boundary}, '{result.operation}' ({result.victim})")
        failed = [clause for clause, status in result.clauses.items() if status == "fail"]
        lines += [
            one_line(f"  {clause} {run.clause_names.get(clause, '')}: {result.clause_reasons.get(clause, '')}")
            for clause in failed
        ]
        if not failed:
            lines.append(f"  {result.outcome}{f': {result.reason}' if result.reason else ''}")
        lines.append(f"  to look at it: {replay(result, directory)} --shell")
    return lines


def _company(scenario: "Scenario") -> str:
    said = [f"actor '{scenario.actor}'"] if scenario.actor else []
    said += [f"udevd {scenario.udev}"] if scenario.udev != "default" else []
    return "".join(f", {one}" for one in said)
