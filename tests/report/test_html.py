"""report.html."""

import base64
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from crashinit import adapters
from crashinit.model.events import RunFinished, RunStarted
from crashinit.report import Reports

from .events import failing, mixed, report, results, sequence, unjudged

VOID = {"meta", "link", "input", "br"}


def inside(out: Path) -> dict[str, str]:
    """What each trial's entry holds, by its anchor: the page keeps it compressed."""
    packed = re.search(r'id="packed">([^<]*)<', (out / "report.html").read_text(encoding="utf-8"))
    assert packed
    found: dict[str, str] = json.loads(zlib.decompress(base64.b64decode(packed[1])))
    return found


class Page(HTMLParser):
    """A page as the elements it opens and the text inside each `details` and table row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[str] = []
        self._details: list[tuple[dict[str, str | None], str]] = []
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
            self._details.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        if "script" in self._open or "style" in self._open:
            return
        self.text += data
        if "tr" in self._open:
            self.rows[-1] += data
        if "details" in self._open:
            self._details[-1] = (self._details[-1][0], self._details[-1][1] + data)

    @property
    def trials(self) -> list[tuple[dict[str, str | None], str]]:
        return [each for each in self._details if (each[0].get("class") or "").startswith("trial ")]


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

    references = [value or "" for _, attrs in Page(text).tags for key, value in attrs.items() if key in ("src", "href")]
    assert "data:," in references
    assert not [reference for reference in references if not reference.startswith(("#", "data:,"))]
    assert not re.search(r"url\(|@import|https?:", text)


def test_every_link_leads_somewhere(tmp_path: Path) -> None:
    """What a link names is in the page: a trial, a kind, a clause; or it is a choice among the trials."""
    report(tmp_path, mixed())
    tags = page(tmp_path).tags
    there = {attrs["id"] for _, attrs in tags if "id" in attrs}
    within = [attrs for text in inside(tmp_path).values() for _, attrs in Page(text).tags]
    links = [attrs["href"] or "" for attrs in [*(attrs for _, attrs in tags), *within] if "href" in attrs]

    named = {link[1:] for link in links if link.startswith("#") and not link.startswith("#?")}
    assert {"kind-1", "clause-C03", "trial-steps_loopback_before_op_process"} <= named
    assert named <= there
    assert set(inside(tmp_path)) <= there


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


def test_a_failure_opens_to_all_that_is_known(tmp_path: Path) -> None:
    """Reason, clauses, time and the command that repeats it are in the trial's entry, as text and not as markup."""
    report(tmp_path, mixed(), clause_names={"C03": "backing"})
    attrs, text = page(tmp_path).trials[0]
    entry = words(Page(inside(tmp_path)[attrs["id"] or ""]).text)

    assert "C03: <data> is attached twice & leaks" in words(text)
    for part in (
        "C03 fail backing",
        "pass C01",
        "fork 0.1 s",
        "The driver alone was killed before operation 1, loop.set-fd data#1.",
        "crashinit replay steps/loopback/before/op/process",
    ):
        assert part in entry


def test_kinds_of_failure_come_first_each_with_a_command(mixed_page: Page) -> None:
    """One entry a kind, the worst first, with figures, the clause and the command that shows it again."""
    text = words(mixed_page.text)
    first = text[text.index("What fails, the worst first") :]

    assert first.index("1 It works with a broken state 1 fault at 1 operation: kill (driver alone)") < first.index(
        "2 The fault never struck"
    )
    assert "C03 backing: C03: <data> is attached twice & leaks" in first
    assert "crashinit replay steps/loopback/before/op/process" in first


def test_the_very_same_fault_counts_once(tmp_path: Path) -> None:
    """A trial that another one stands for has no entry of its own: it is named in that one's, and found by its link."""
    trials = results()[:3]
    report(tmp_path, [*trials, replace(trials[0], id="twin", same_as=trials[0].id)])
    found = page(tmp_path)

    assert len(found.trials) == 3
    assert found.trials[0][0]["data-anchors"] == "trial-twin"
    assert "After each of 3 faults the next init put everything in order." in words(found.text)
    assert 'id="trial-twin"' in inside(tmp_path)[found.trials[0][0]["id"] or ""]


def test_clause_table(mixed_page: Page) -> None:
    """Each clause has its counts, and why it failed or could not be judged."""
    rows = [words(row) for row in mixed_page.rows]

    assert any(
        re.fullmatch(r"C03 backing 27 1 . Data and .*C03: <data> is attached twice & leaks", row) for row in rows
    )
    assert any(re.fullmatch(r"C12 . . 27 Devices .*there was no data before the fault .27", row) for row in rows)


def test_a_trial_without_a_verdict_counts_for_no_clause(tmp_path: Path) -> None:
    """Neither the clause table nor the trial's entry holds against the driver what was not judged, and that is said."""
    report(tmp_path, [*unjudged(), results()[2]])
    shown = page(tmp_path)

    assert any(words(row).startswith("C01 1 \N{EN DASH} \N{EN DASH} The first re-init") for row in shown.rows)
    assert not any("C02" in row for row in shown.rows)
    assert [attrs["data-clause"] for attrs, _ in shown.trials] == ["", "", ""]
    assert "Of 3 trials 1 was judged." in words(shown.text)
    assert not any("C01" in text for text in inside(tmp_path).values() if "pass" not in text)


def test_the_heading_is_the_driver_s_title(tmp_path: Path) -> None:
    """A driver that is given by its adapter's path is called by its title, with name and path below it."""
    shipped = str(Path(adapters.__file__).parent / "reference.toml")
    for driver, heading in ((shipped, adapters.load("reference").title), ("gone.toml", "gone.toml")):
        with Reports(tmp_path) as emit:
            emit(RunStarted(driver, "qemu", "tcg", []))
            emit(RunFinished(1.0, False))
        text = (tmp_path / "report.html").read_text(encoding="utf-8")

        assert f"<h1>{heading}</h1>" in text
        assert (f"<dt>adapter</dt><dd>{driver}</dd>" in text) == (driver != heading)


def test_tables_scroll_where_the_page_is_narrow(mixed_page: Page) -> None:
    """Each table stands in a box that scrolls sideways, and that a keyboard reaches."""
    elements = [(tag, attrs) for tag, attrs in mixed_page.tags if tag == "table" or attrs.get("class") == "scroll"]

    assert [tag for tag, _ in elements] == ["div", "table"] * 3
    assert all(attrs.get("tabindex") == "0" for tag, attrs in elements if tag == "div")
    assert elements[3][1].get("style") == "--columns:6", "six columns have the width of their headings"


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
    [
        (results(), "No failure. After each of 30 faults the next init put everything in order."),
        (mixed(), "After 1 of 28 faults it works with a broken state; after the other 27 the next init"),
        (mixed(), "In 1 further trial the fault did not fire. 1 trial could not be judged."),
        ([], "Nothing ran, so nothing is known of the driver."),
    ],
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

    assert "No failure in what was judged. After each of 2 faults" in text
    assert "28 of the 30 planned trials have no result: the run was interrupted." in text
    assert 'class="verdict not-fired"' in (tmp_path / "report.html").read_text(encoding="utf-8")


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
