"""What happened in one trial: show."""

import json
from pathlib import Path
from typing import Annotated

import typer

from crashinit.cli.app import FAILED, OK, app, say
from crashinit.cli.plans import find
from crashinit.errors import UsageError
from crashinit.text.printable import one_line


@app.command()
def show(
    target: Annotated[str, typer.Argument(metavar="TRIAL|BUNDLE", help="The trial's id, or the path of a bundle.")],
    source: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="The run that it is of; by default the newest that has it."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--all", help="Every operation, difference and line, not only the last or first ones.")
    ] = False,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Instead, its inits as JSON that Perfetto (ui.perfetto.dev) opens.")
    ] = False,
) -> int:
    """The story of a trial: what init did, what the next one did, and what is left.

    It is told from the evidence that the run keeps; no machine is started. Ends with 1 if the trial did not converge.
    """
    from crashinit.report import read
    from crashinit.report import timeline as timelines
    from crashinit.report.stories import Stories
    from crashinit.report.told import told
    from crashinit.run.place import permitted

    plan, (first, *_) = find(target, source)
    directory, trial = plan.parent, first.id
    with permitted(directory):
        run = read(directory)
        result = next((result for result in run.results if result.id == trial), None)
        if result is None:
            raise UsageError(
                f"'{directory}' planned the trial '{trial}' and has no result of it: 'crashinit replay' runs it."
            )
        stories = Stories(directory, run.driver)
        evidence = stories.evidence(result)
        story = stories.of(result)
    if evidence is None or story is None:
        raise UsageError(
            f"'{directory}' keeps no evidence of the trial '{trial}': "
            f"'crashinit replay {trial} --run {directory}' makes it."
        )
    if timeline:
        say(json.dumps(timelines.timeline(evidence)))
        return OK
    for line in told(result, story, whole=whole):
        say(one_line(line, None))
    return OK if result.outcome == "converged" else FAILED
