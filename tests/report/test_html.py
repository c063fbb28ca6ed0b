"""report.html."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from crashinit import adapters
from crashinit.model.events import RunFinished, RunStarted
from crashinit.report import Reports

from .events import failing, mixed, report, results, sequence, unjudged

VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """A page as the elements it opens and the text inside each `details` and table row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[str] = []
        self.trials: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append("")
        if tag == "details":
            self.trials.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        if "script" in self._open or "style" in self._open:
            return
        self.text += data
        if "tr" in self._open:
            self.rows[-1] += data
        if "details" in self._open:
            self.trials[-1] = (self.trials[-1][0], self.trials[-1][1] + data)


def page(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def mixed_page(tmp_path: Path) -> Page:
    report(tmp_path, mixed(), mask=["UUIDs are <random>"], clause_names={"C03": "backing"})
    return page(tmp_path)


def test_one_file_that_works_offline(tmp_path: Path) -> None:
    """The page refers to nothing outside itself."""
    report(tmp_path, mixed())
    text = (tmp_path / "report.html").read_text(encoding="utf-8")

    references = [value for _, attrs in Page(text).tags for key, value in attrs.items() if key in ("src", "href")]
    assert {"data:,", "#trials"} == set(references)
    assert not re.search(r"url\(|@import|https?:", text)


def test_matrix_counts_converged_of_all(mixed_page: Page) -> None:
    """The matrix has a row for each of the five steps, with the worst outcome's mark in each cell."""
    rows = [words(row) for row in mixed_page.rows]

    good = "✓ 1/1, 1 converged"
    assert f"loopback ✗ 0/1, 1 diverged {good} {good} {good} {good} {good}" in rows
    assert f"pool-create {good} ○ 0/1, 1 not-fired {good} ! 0/1, 1 error {good} {good}" in rows
    steps = [row.split()[0] for row in rows if re.match(r"(loopback|pool-create|base-create|mkfs|metadata-save) ", row)]
    assert steps == ["loopback", "pool-create", "base-create", "mkfs", "metadata-save"]


def test_a_place_without_trials_is_a_gap(tmp_path: Path) -> None:
    """A step that no trial struck stays in the matrix and says so."""
    report(tmp_path, [trial for trial in results() if trial.step != "mkfs"])

    row = next(words(row) for row in page(tmp_path).rows if words(row).startswith("mkfs"))
    assert row.count("no trial") == 6


def test_failures_come_first(mixed_page: Page) -> None:
    """Trials are listed diverged, not-fired, error, converged."""
    outcomes = [attrs["data-outcome"] for attrs, _ in mixed_page.trials]

    assert ["diverged", "not-fired", "error", *["converged"] * 27] == outcomes


def test_a_failure_opens_to_all_that_is_known(mixed_page: Page) -> None:
    """Reason, clauses, time and the command that repeats it are in the trial's entry, as text and not as markup."""
    attrs, text = mixed_page.trials[0]

    assert "open" in attrs
    for part in (
        "C03: <data> is attached twice & leaks",
        "C03 fail backing",
        "pass C01",
        "fork 0.1 s",
        "loop.set-fd data#1, boundary 1 of the trace",
        "crashinit replay steps/loopback/before/op/process",
    ):
        assert part in words(text)


def test_clause_table(mixed_page: Page) -> None:
    """Each clause has its counts, and why it failed or could not be judged."""
    rows = [words(row) for row in mixed_page.rows]

    assert "C03 backing 27 1 \N{EN DASH} C03: <data> is attached twice & leaks" in rows
    assert "C12 \N{EN DASH} \N{EN DASH} 27 there was no data before the fault \N{MULTIPLICATION SIGN}27" in rows


def test_a_trial_without_a_verdict_counts_for_no_clause(tmp_path: Path) -> None:
    """Neither the clause table nor the trial's entry holds against the driver what was not judged, and that is said."""
    report(tmp_path, [*unjudged(), results()[2]])
    shown = page(tmp_path)

    assert "C01 1 \N{EN DASH} \N{EN DASH}" in [words(row) for row in shown.rows]
    assert not any("C02" in row for row in shown.rows)
    assert [attrs["data-failed"] for attrs, _ in shown.trials] == ["", "", ""]
    assert "Of 3 trials 1 was judged." in words(shown.text)
    assert "C01 fail" not in words(shown.text)


def test_the_heading_is_the_driver_s_title(tmp_path: Path) -> None:
    """A driver that is given by its adapter's path is called by its title, with name and path below it."""
    shipped = str(Path(adapters.__file__).parent / "reference.toml")
    for driver, heading in ((shipped, adapters.load("reference").title), ("gone.toml", "gone.toml")):
        with Reports(tmp_path) as emit:
            emit(RunStarted(driver, "qemu", "tcg", []))
            emit(RunFinished(1.0, False))
        text = (tmp_path / "report.html").read_text(encoding="utf-8")

        assert f"<h1>{heading} <span" in text
        assert (f"<dt>adapter</dt><dd>{driver}</dd>" in text) == (driver != heading)


def test_tables_scroll_where_the_page_is_narrow(mixed_page: Page) -> None:
    """Each table stands in a box that scrolls sideways, and that a keyboard reaches."""
    elements = [(tag, attrs) for tag, attrs in mixed_page.tags if tag == "table" or attrs.get("class") == "scroll"]

    assert [tag for tag, _ in elements] == ["div", "table", "div", "table"]
    assert all(attrs.get("tabindex") == "0" for tag, attrs in elements if tag == "div")
    assert elements[1][1].get("style") == "min-width:45rem", "six columns have the width of their headings"


def test_a_count_of_zero_can_be_read(tmp_path: Path) -> None:
    """Nothing is made pale by transparency, which takes a text's contrast away."""
    report(tmp_path, results())

    assert "opacity" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_mask_and_what_was_left_out_are_told(tmp_path: Path) -> None:
    """The allowed differences and the sentences on what was not tried stand in the page."""
    with Reports(tmp_path, mask=["UUIDs are <random>"]) as emit:
        for event in [*sequence(results(), ["boundary 9: it equals boundary 8"])[:5], RunFinished(1.0, True)]:
            emit(event)
    text = words(page(tmp_path).text)

    assert "UUIDs are <random>" in text
    assert "boundary 9: it equals boundary 8" in text
    assert "The run was interrupted: 28 of 30 planned trials were not done." in text


@pytest.mark.parametrize(
    ("trials", "verdict"),
    [(results(), "every trial converged"), (mixed(), "1 diverged, 1 not-fired, 1 error"), ([], "nothing ran")],
)
def test_verdict(tmp_path: Path, trials: list[object], verdict: str) -> None:
    """The heading says in words how the run ended; a run of nothing is not a success."""
    report(tmp_path, trials)  # type: ignore[arg-type]

    assert verdict in words(page(tmp_path).text)


def test_a_run_cut_short_is_no_success(tmp_path: Path) -> None:
    """All trials done so far converged, but some were not done: the heading does not claim success."""
    with Reports(tmp_path) as emit:
        for event in [*sequence(results())[:5], RunFinished(1.0, True)]:
            emit(event)
    text = words(page(tmp_path).text)

    assert "every trial converged" not in text
    assert "28 of 30 trials not done" in text


def test_other_steps_faults_and_victims_are_shown_too(tmp_path: Path) -> None:
    """A result whose step is none of the five, or that has no victim, is in the matrix all the same."""
    report(tmp_path, [replace(results()[0], id="x", step="", victim="", fault="errno")])

    assert any(words(row).startswith("(no step)") and "1/1" in row for row in page(tmp_path).rows)


def test_no_character_of_a_stored_run_acts_on_the_page(tmp_path: Path) -> None:
    """Markup is shown as text, and so is what would turn the direction of a line or is no character at all."""
    evil = '"><script>alert(1)</script>\u202egnp\x1b[2J\udce9'
    trial = replace(failing(results()[0], "diverged", evil, {evil: "fail"}), id=evil, step=evil, operation=evil)
    report(tmp_path, [trial])
    page = (tmp_path / "report.html").read_text()

    assert "<script>alert" not in page
    assert not {"\u202e", "\x1b", "\udce9"} & set(page)
    assert "\\u202egnp\\x1b[2J\\udce9" in page
