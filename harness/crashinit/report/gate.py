"""What a CI shows of a run: a summary in Markdown with the init as text, a badge, a line for each kind of failure."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from crashinit.files.safe import write_text
from crashinit.model.events import Outcome
from crashinit.report.again import replay
from crashinit.report.kinds import kind_of, kinds, short, sort
from crashinit.report.markdown import block, text
from crashinit.report.picture import pictures
from crashinit.report.results import RunRecord
from crashinit.report.stories import Stories
from crashinit.report.title import title
from crashinit.report.verdict import distinct, said, tone
from crashinit.report.words import many, system
from crashinit.text.printable import one_line, printable

SUMMARY, BADGE = "summary.md", "badge.svg"
SHOWN = 12  # kinds of failure
COLOURS: dict[Outcome, str] = {
    "converged": "#136c35",
    "diverged": "#a8181f",
    "not-fired": "#7a4f00",
    "error": "#6c2fa3",
}
WORDS: dict[Outcome, str] = {
    "converged": "converges",
    "diverged": "fails",
    "not-fired": "not known",
    "error": "not judged",
}


def write_summary(run: RunRecord, out: Path) -> Path:
    """Write summary.md into the run's directory."""
    path = out / SUMMARY
    write_text(path, "\n".join(_summary(run, out)) + "\n")
    return path


def write_badge(run: RunRecord, out: Path) -> Path:
    """Write badge.svg into the run's directory."""
    path = out / BADGE
    write_text(path, badge("crash-tested init", WORDS[tone(run)], COLOURS[tone(run)]))
    return path


def annotations(run: RunRecord, out: Path) -> Iterator[str]:
    """A line for each kind of failure, as GitHub Actions reads them from a job's output."""
    for alike in kinds(result for result in distinct(run.results) if result.outcome != "converged"):
        first = alike[0]
        told = f"{many(len(alike), 'fault')}: {short(first.reason)} -- {replay(first, out)}"
        level = "error" if first.outcome in ("diverged", "not-fired") else "warning"
        what = _escaped(one_line(f"{title(run.driver)}: {sort(first)}"), of_a_title=True)
        yield f"::{level} title={what}::{_escaped(told)}"


def badge(left: str, right: str, colour: str) -> str:
    """An SVG picture of two words."""
    widths = [7 * len(word) + 12 for word in (left, right)]
    whole = sum(widths)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" '
        f'aria-label="{escape(left)}: {escape(right)}">'
        f'<rect width="{widths[0]}" height="20" fill="#444"/>'
        f'<rect x="{widths[0]}" width="{widths[1]}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{widths[0] / 2}" y="14">{escape(left)}</text>'
        f'<text x="{widths[0] + widths[1] / 2}" y="14">{escape(right)}</text></g></svg>\n'
    )


def _summary(run: RunRecord, out: Path) -> Iterator[str]:
    yield f"## {text(title(run.driver))}"
    yield ""
    yield f"**{text(said(run))}**"
    yield ""
    if where := system(run.guest, run.kernel):
        yield f"Guest: {text(where)}. {many(len(run.results), 'trial')}."
        yield ""
    failing = kinds(result for result in distinct(run.results) if result.outcome != "converged")
    numbers = {kind_of(alike[0]): number for number, alike in enumerate(failing, 1)}
    for picture in pictures(run.results, Stories(out, run.driver), numbers):
        width = max(len(row.strike) for band in picture.bands for row in band.rows)
        lines = []
        for band in picture.bands:
            lines.append(f"{'':{width}}  {', '.join(step for step, _ in band.steps)}")
            for row in band.rows:
                marks = "".join(_mark(cell.mark) if cell else "·" if column.tried else ""
                                for cell, column in zip(row.cells, band.columns, strict=True))  # fmt: skip
                lines.append(f"{row.strike:{width}}  {marks}")
        yield block(printable("\n".join(lines), None))
        yield ""
        yield "A column is an operation, a row a fault. ✓: the next init converged; a number: the kind of failure."
        yield ""
    for number, alike in enumerate(failing[:SHOWN], 1):
        first = alike[0]
        yield f"{number}. **{text(sort(first))}**, {many(len(alike), 'fault')}: {text(short(first.reason))}"
        yield ""
        yield block(replay(first, out))
        yield ""
    if len(failing) > SHOWN:
        yield f"And {many(len(failing) - SHOWN, 'more kind')}, in report.html."


def _mark(mark: str) -> str:
    return mark if len(mark) == 1 else "+"


def _escaped(value: str, *, of_a_title: bool = False) -> str:
    """A value in a workflow command: what would end it is written as GitHub's toolkit writes it."""
    for letter, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        value = value.replace(letter, code)
    return value.replace(":", "%3A").replace(",", "%2C") if of_a_title else value
