"""Commands on the scenarios that come along: which there are, and a copy of them to change."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from crashinit.cli.app import OK, app, say
from crashinit.errors import UsageError
from crashinit.text.printable import one_line

scenarios = typer.Typer(help="The scenarios that come along.", rich_markup_mode=None, invoke_without_command=True)
app.add_typer(scenarios, name="scenarios")


@scenarios.callback()
def scenarios_list(context: typer.Context) -> int:
    """List the scenarios that 'run' finds in any directory, unless a command says otherwise."""
    from crashinit.scenario import scenario

    if context.invoked_subcommand is None:
        top = scenario.shipped()
        found = {str(scenario.SCENARIOS / path.relative_to(top)): path for path in sorted(top.rglob("*.yaml"))}
        width = max(map(len, found), default=0)
        for name, path in found.items():
            say(one_line(f"{name:{width}}  {scenario.load(path).title}"))
    return OK


@scenarios.command("copy")
def scenarios_copy(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory for them.")],
) -> int:
    """Copy the scenarios into a new directory, to change them there."""
    from crashinit.scenario import scenario

    try:
        shutil.copytree(scenario.shipped(), directory, ignore=shutil.ignore_patterns("__pycache__"))
    except FileExistsError:
        raise UsageError(f"'{directory}' exists already: give a directory that does not.") from None
    say(one_line(f"{directory}: run them with: crashinit run {directory / 'steps'} --driver D"))
    return OK
