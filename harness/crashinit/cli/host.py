"""Commands on what there is to work with: doctor, image."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from crashinit.cli.app import HARNESS_ERROR, OK, Guest, app, fail, say
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


@images.command("list")
def image_list() -> int:
    """The images in the cache: key, guest, size, when it was used last, and packages beyond the standard ones."""
    from datetime import UTC, datetime

    from crashinit.machine.cache import GIB, KINDS, MIB, Shelf, allocated, limit
    from crashinit.machine.guests import stock
    from crashinit.report.words import many

    found = stock.entries()
    for entry in found:
        used = datetime.fromtimestamp(entry.used, UTC).strftime("%Y-%m-%d %H:%M")
        beyond = ", ".join(entry.packages) or "-"
        kernel = entry.facts.get("kernel", "?")
        say(one_line(f"{entry.key}  {entry.guest or '?':10}  {entry.size // MIB:5} MB  {used}  {kernel}  {beyond}"))
    total = sum(allocated(path) for kind in KINDS for path in Shelf(kind, 0).entries())
    say(f"{many(len(found), 'image')}; with all else that is kept {total / GIB:.1f} of {limit() / GIB:.1f} GB.")
    return OK


@images.command("export")
def image_export(
    name: Annotated[str, typer.Argument(metavar="KEY|GUEST", help="Of a guest the image that was used last.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, such as image.tar.gz.")],
) -> int:
    """Write an image into one file, to be kept by a CI or carried to another host."""
    from crashinit.machine.cache import MIB
    from crashinit.machine.guests import stock

    entry = stock.chosen([name])[0]
    stock.export(entry, file)
    say(one_line(f"{entry.key} ({entry.guest}) is in '{file}', {file.stat().st_size // MIB} MB"))
    return OK


@images.command("import")
def image_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="What 'image export' has written.")],
) -> int:
    """Put an exported image into the cache; a damaged file leaves nothing there."""
    from crashinit.machine.guests import stock

    entry = stock.bring_in(file)
    say(one_line(f"{entry.key} ({entry.guest}) is in the cache: {entry.image.path}"))
    return OK


@images.command("rm")
def image_rm(
    names: Annotated[list[str], typer.Argument(metavar="KEY|GUEST...", help="Images, or all of these guests.")],
) -> int:
    """Remove images from the cache. A machine that has one open keeps it until it ends."""
    from crashinit.machine.cache import MIB
    from crashinit.machine.guests import stock

    code = OK
    for entry in stock.chosen(names):
        if stock.remove(entry):
            say(one_line(f"removed {entry.key} ({entry.guest}), {entry.size // MIB} MB"))
        else:
            code = fail(f"error: '{entry.key}' is being built or taken: try again when that is over.", HARNESS_ERROR)
    return code


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
