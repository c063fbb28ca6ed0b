"""Commands on what there is to work with: doctor, image, drivers."""

import sys
from typing import Annotated

import typer

from crashinit.cli.app import FAILED, HARNESS_ERROR, OK, Guest, Provider, ProviderName, app, machines, say
from crashinit.text.printable import one_line


@app.command()
def doctor() -> int:
    """What this host can do, and what is missing."""
    from crashinit.machine.doctor import examine

    findings = examine()
    for finding in findings:
        state = finding.state.upper() if finding.state == "missing" else finding.state
        say(one_line(f"{state:8} {finding.name}: {finding.text}"))
        if finding.remedy:
            say(one_line(f"{'':8} {finding.remedy}"))
    return OK if all(finding.ok or not finding.required for finding in findings) else HARNESS_ERROR


images = typer.Typer(help="What machines are made from.", rich_markup_mode=None)
app.add_typer(images, name="image")


@images.command("build")
def image_build(
    packages: Annotated[
        list[str] | None, typer.Argument(metavar="PACKAGE", help="Debian packages beyond the standard ones.")
    ] = None,
    guest: Guest = "",
) -> int:
    """Build a guest's image, if the cache does not hold it; print its path. This is all that needs root."""
    from crashinit.machine.guests import DEFAULT, image, load

    made = image.image(tuple(packages or ()), guest=load(guest or DEFAULT), note=lambda text: say(text, sys.stderr))
    say(str(made.path))
    return OK


@images.command("box")
def image_box(
    packages: Annotated[
        list[str] | None, typer.Argument(metavar="PACKAGE", help="Debian packages beyond the standard ones.")
    ] = None,
    guest: Guest = "",
) -> int:
    """Build a guest's Vagrant box from Debian packages, if the cache does not hold it; print its path."""
    from crashinit.machine.guests import DEFAULT, load
    from crashinit.machine.vagrant import box

    made = box.box(tuple(packages or ()), guest=load(guest or DEFAULT), note=lambda text: say(text, sys.stderr))
    say(str(made.file))
    say(f"add it with: vagrant box add --force --name {made.name} {made.file}", sys.stderr)
    return OK


drivers = typer.Typer(help="The drivers that can be tested.", rich_markup_mode=None, invoke_without_command=True)
app.add_typer(drivers, name="drivers")


@drivers.callback()
def drivers_list(context: typer.Context) -> int:
    """List the drivers that can be tested, unless a command says otherwise."""
    from crashinit import adapters

    if context.invoked_subcommand is None:
        for name in adapters.names():
            say(one_line(f"{name:20} {adapters.load(name).title}"))
    return OK


@drivers.command("check")
def drivers_check(
    driver: Annotated[str, typer.Argument(metavar="FILE", help="An adapter file's path, or an adapter's name.")],
    provider: Provider = ProviderName.QEMU,
    deadline: Annotated[float, typer.Option("--deadline", min=1, help="Seconds that the init may take.")] = 60.0,
    guest: Guest = "",
) -> int:
    """Check an adapter file, then run one init without faults and judge it."""
    from crashinit import adapters
    from crashinit.campaign.check import check

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
        say(one_line(f"{clause} {adapter.kind.clauses[clause].name:15} {verdict.status:4} {verdict.reason}".rstrip()))
    return OK if found.ok else FAILED
