"""Commands on what there is to work with: doctor, image."""

import sys
from typing import Annotated

import typer

from crashinit.cli.app import HARNESS_ERROR, OK, Guest, app, say
from crashinit.text.printable import one_line


@app.command()
def doctor() -> int:
    """What this host can do, and what is missing."""
    from crashinit.machine.doctor import examine, verdict

    findings = examine()
    for finding in findings:
        state = finding.state.upper() if finding.state == "missing" else finding.state
        say(one_line(f"{state:8} {finding.name}: {finding.text}"))
        if finding.remedy:
            say(one_line(f"{'':8} {finding.remedy}"))
    say(one_line(verdict(findings)))
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
