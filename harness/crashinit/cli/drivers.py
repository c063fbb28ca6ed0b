"""Commands on drivers: which there are, whether one can be tested, and what a new one's adapter looks like."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crashinit.cli.app import FAILED, OK, Guest, Provider, ProviderName, Settings, app, machines, say
from crashinit.errors import UsageError
from crashinit.text.printable import one_line

drivers = typer.Typer(help="The drivers that can be tested.", rich_markup_mode=None, invoke_without_command=True)
app.add_typer(drivers, name="drivers")


@drivers.callback()
def drivers_list(context: typer.Context) -> int:
    """List the drivers that can be tested, unless a command says otherwise."""
    from crashinit import adapters

    if context.invoked_subcommand is None:
        for name in adapters.names():
            adapter = adapters.load(name)
            say(one_line(f"{name:20} {adapter.family:10} {adapter.title}"))
    return OK


@drivers.command("check")
def drivers_check(
    driver: Annotated[str, typer.Argument(metavar="FILE", help="An adapter file's path, or an adapter's name.")],
    provider: Provider = ProviderName.QEMU,
    deadline: Annotated[float, typer.Option("--deadline", min=1, help="Seconds that the init may take.")] = 60.0,
    guest: Guest = "",
    settings: Settings = None,
) -> int:
    """Check an adapter file, then run one init without faults and judge it."""
    from crashinit import adapters
    from crashinit.campaign.check import check, judged_by

    driver = adapters.changed(driver, settings or ())
    adapter = adapters.load(driver)
    adapter.check_files()
    say(one_line(f"{adapter.name}: {adapter.title}"))
    found = check(driver, machines(provider, None, guest=guest), deadline, note=lambda text: say(text, sys.stderr))
    ended = "got ready" if found.run.exit is None else "ended"
    say(one_line(f"without a fault its init {ended} after {found.run.seconds:.1f} s"))
    say(one_line(f"operations: {', '.join(f'{step} {count}' for step, count in found.steps.items()) or 'none'}"))
    for step, reason in adapter.absent.items():
        if step not in found.denied:
            say(one_line(f"no step '{step}': {reason}"))
    for step in found.denied:
        say(one_line(f"step '{step}' occurs, though [absent] says that it does not: take it out there"))
    for step in found.unexplained:
        say(one_line(f"no step '{step}': if that is how the driver works, say why in [absent]"))
    for clause, verdict in found.verdicts.items():
        how = judged_by(adapter, clause) if verdict.status == "n/a" else ""
        said = f"{verdict.reason}: {how}" if how else verdict.reason
        say(one_line(f"{clause} {adapter.kind.clauses[clause].name:16} {verdict.status:4} {said}".rstrip()))
    return OK if found.ok else FAILED


news = typer.Typer(help="Files to begin from.", rich_markup_mode=None)
app.add_typer(news, name="new")


@news.command("driver")
def new_driver(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What reports call the driver.")],
    family: Annotated[str, typer.Option("--family", metavar="F", help="Its family: thinpool, lvm, volume, ...")],
) -> int:
    """Write NAME.toml: an adapter with a comment on each key, to be filled in."""
    from crashinit import families
    from crashinit.adapters.adapter import NAME, NAME_IS
    from crashinit.adapters.new import template

    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name for a driver, which has {NAME_IS}.")
    path, text = Path(f"{name}.toml"), template(name, families.load(family))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"'{path}' exists already: give another name, or remove it.") from None
    say(f"{path}: fill it in, then run: crashinit drivers check {path}")
    return OK


class Schema(StrEnum):
    """What has a schema."""

    SCENARIO = "scenario"
    ADAPTER = "adapter"
    GUEST = "guest"
    RECORDS = "records"
    RESULTS = "results"


@app.command()
def schema(what: Annotated[Schema, typer.Argument(help="Of what.")]) -> int:
    """Print a JSON Schema: of a scenario, adapter or guest file, of what [records] prints, of a line of results."""
    from pydantic import TypeAdapter

    from crashinit.adapters import Adapter
    from crashinit.contract.stated import StatedRecords
    from crashinit.machine.guests.guest import Guest as GuestFile
    from crashinit.model.events import TrialResult
    from crashinit.scenario.scenario import Scenario

    models: dict[Schema, type[object]] = {
        Schema.SCENARIO: Scenario,
        Schema.ADAPTER: Adapter,
        Schema.GUEST: GuestFile,
        Schema.RECORDS: StatedRecords,
        Schema.RESULTS: TrialResult,
    }
    say(json.dumps(TypeAdapter(models[what]).json_schema(), indent=2))
    return OK
