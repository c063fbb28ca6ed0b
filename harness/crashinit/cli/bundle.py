"""The command that packs one failure into one archive: bundle."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from crashinit.cli.app import OK, app, run_reports, say, warn
from crashinit.cli.plans import find
from crashinit.cli.replay import machines_of
from crashinit.text.printable import one_line


@app.command()
def bundle(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="The trial's id.")],
    source: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="The run that it is of; by default the newest that planned it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", metavar="FILE", help="The archive; by default driver and trial, .tar.gz, in this directory."
        ),
    ] = None,
    image: Annotated[
        bool,
        typer.Option(
            "--image", help="With the driver's root before the next init, up to 20 MB: the trial is run again."
        ),
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also if something in it tells of this host or its user.")
    ] = False,
) -> int:
    """Pack one failure into one archive, to attach it to a bug report; 'crashinit replay FILE' replays it elsewhere."""
    from crashinit.bundle import made
    from crashinit.bundle.image import LIMIT, root_of
    from crashinit.files.safe import MIB
    from crashinit.run.place import permitted

    plan, trials = find(trial, source)
    with permitted(plan.parent):
        failure = made.Failure.of(trials[0], plan.parent)
    target = out or Path(made.file_name(failure))

    def root(where: Path) -> tuple[str, ...]:
        if not image:
            return ()
        again = replace(trials[0], seed=failure.result.seed)
        with run_reports(None, stderr=True) as emit:
            found = root_of(again, machines_of(None, None, 1, "", plan.parent), plan.parent, where, emit)
        if not found:
            warn(f"the driver's root is left out: it has more than {LIMIT // MIB} MB when it is packed.")
        return found

    made.make(failure, target, anyway=anyway, add=root)
    size = target.stat().st_size
    say(one_line(f"{target}: {size / MIB:.1f} MB" if size >= MIB / 10 else f"{target}: {size:,} bytes"))
    say(one_line(f"replay it, here or elsewhere: crashinit replay {shlex.quote(str(target))}", None))
    return OK
