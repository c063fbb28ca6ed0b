"""The story of a trial in the lines of a terminal."""

from collections.abc import Iterator, Sequence

from crashinit.model.events import TrialResult
from crashinit.report.kinds import how_often
from crashinit.report.story import Init, Line, Story
from crashinit.report.words import many

SHOWN = 12  # lines of a list, unless all are asked for
INDENT = "    "


def told(result: TrialResult, story: Story, *, whole: bool = False) -> Iterator[str]:
    """The story, part by part. `whole`: every operation, and not only the last ones before the fault."""
    yield f"{result.id}: {result.outcome}"
    if result.reason:
        yield f"{INDENT}{result.reason}"
    if often := how_often([result]):
        yield f"{INDENT}{often}"
    yield from _part("What init did, and where it was struck", [story.struck, story.ended])
    yield from _lines(story.before, whole)
    if story.after:
        yield from _part("What that init did after it")
        yield from _lines(story.after, whole)
    for init in story.inits:
        yield from _init(init, whole)
    if story.broken:
        yield from _part("Expected against found")
        for clause in story.broken:
            yield f"{INDENT}{clause.clause} {clause.name}"
            yield f"{INDENT}  expected: {clause.rule}"
            yield f"{INDENT}  found:    {clause.found}"
    yield from _part("What is left", story.devices or ["no device, no mount, no semaphore"])
    if story.facts:
        yield from _part(f"{many(len(story.facts), 'difference')} to the state after a healthy init")
        shown = story.facts if whole else story.facts[:SHOWN]
        for fact in shown:
            yield f"{INDENT}{fact.path}: healthy {_fact(fact.healthy)}, found {_fact(fact.found)}"
        if len(shown) < len(story.facts):
            yield f"{INDENT}and {len(story.facts) - len(shown)} more: '--all' prints them"
    if story.log:
        yield from _part("The kernel's log", story.log if whole else story.log[-SHOWN:])
    if story.commands:
        yield from _part("See it again")
        for what, command in story.commands.items():
            yield f"{INDENT}{what}:"
            yield f"{INDENT}  {command}"


def _part(heading: str, lines: Sequence[str] = ()) -> Iterator[str]:
    yield ""
    yield heading
    for line in lines:
        if line:
            yield f"{INDENT}{line}"


def _init(init: Init, whole: bool) -> Iterator[str]:
    yield from _part(f"What {init.name} did", [init.ended])
    if init.missing:
        yield f"{INDENT}a healthy init does these too, and this one did not: {_some(init.missing, whole)}"
    if init.beside:
        yield f"{INDENT}it did these, which a healthy init does not: {_some(init.beside, whole)}"
    if whole:
        yield from _lines(init.lines, whole)
    for line in init.said if whole else init.said[-3:]:
        yield f"{INDENT}| {line}"


def _some(keys: Sequence[str], whole: bool) -> str:
    shown = keys if whole else keys[:SHOWN]
    more = f", and {len(keys) - len(shown)} more" if len(shown) < len(keys) else ""
    return ", ".join(shown) + more


def _lines(lines: Sequence[Line], whole: bool) -> Iterator[str]:
    shown = lines if whole else lines[-SHOWN:]
    if len(shown) < len(lines):
        yield f"{INDENT}({len(lines) - len(shown)} lines before: '--all' prints them)"
    width = max((len(line.what) for line in shown), default=0)
    for line in shown:
        number = "" if line.number is None else str(line.number)
        mark = ">" if line.struck else " "
        yield f"{INDENT}{mark}{number:>4} {line.seconds:8.3f} s  {line.what:{width}}  {line.about}".rstrip()


def _fact(fact: str | None) -> str:
    return "nothing" if fact is None else f"'{fact}'"
