"""report.html in a browser: what it does when somebody reads it. Chromium shows it, as Debian packages it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from crashinit.report import html
from crashinit.report.results import read
from playwright.sync_api import Browser, Page, sync_playwright

from .events import mixed, report
from .test_story import PUBLISHED

pytestmark = pytest.mark.xdist_group("page")
ANCHOR = "trial-steps_pool-create_during_dm.table-load-pool-1_process"
PHONE = 420  # pixels
PAPER = 718  # pixels between the margins of A4, at 96 to the inch


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    assert found, "'make test' installs Debian's package 'chromium'"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a published run's page, as it is written today."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html.render(read(PUBLISHED), PUBLISHED), encoding="utf-8")
    return path.as_uri()


def opened(browser: Browser, address: str, *, width: int = 1400, dark: bool = False) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme="dark" if dark else "light")
    page.goto(address)
    return page


def shown(page: Page) -> list[str]:
    """The trials that the list shows."""
    found: list[str] = page.evaluate("[...document.querySelectorAll('.trial:not([hidden])')].map(each => each.id)")
    return found


def test_the_page_asks_for_nothing_and_complains_of_nothing(browser: Browser, published: str) -> None:
    """It is one file: no request leaves it, and the console stays empty while it is used."""
    page = browser.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(published)
    page.locator(f"#{ANCHOR.replace('.', chr(92) + '.')} > summary").click()
    page.get_by_text("What init did, and where it was struck").last.wait_for()
    page.locator("input[name=find]").fill("mkfs")
    page.close()

    assert (said, asked) == ([], [published])


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(browser: Browser, published: str, dark: bool) -> None:
    """Names, contrasts, landmarks, focus: axe-core's rules hold with stories open, in light and in dark."""
    page = opened(browser, f"{published}#{ANCHOR}", dark=dark)
    page.get_by_text("Expected against found").last.wait_for()
    page.evaluate("for (const box of document.querySelectorAll('#kind-1 details, .trial details')) box.open = true")
    found = Axe().run(page).response["violations"]
    page.close()

    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []


def test_two_keys_lead_to_the_first_failure(browser: Browser, published: str) -> None:
    """The first Tab reaches a link that skips to the worst kind of failure."""
    page = opened(browser, published)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**#kind-1")
    first = page.locator("#kind-1")

    assert "It never comes up again" in first.inner_text()
    top = page.evaluate("document.getElementById('kind-1').getBoundingClientRect().top")
    assert -1 < top < 1000
    page.close()


def test_a_cell_of_the_picture_opens_its_trial(browser: Browser, published: str) -> None:
    """Arrow keys go from cell to cell and say what each one is; Enter opens the trial with its story."""
    page = opened(browser, published)
    row = page.locator(".strip").first.locator("tbody tr").first
    row.locator("a").first.focus()
    assert page.locator(".pointed").inner_text().startswith("operation ")
    before = page.evaluate("document.activeElement.title")
    page.keyboard.press("ArrowRight")
    after = page.evaluate("document.activeElement.title")
    assert before != after == page.locator(".pointed").inner_text()

    page.locator(f".strip a[href='#{ANCHOR}']").first.focus()
    page.keyboard.press("Enter")
    body = page.locator(".trial[open] .story")
    body.wait_for()
    assert "struck here dm.table-load pool#1" in " ".join(body.inner_text().split())
    assert page.evaluate("document.activeElement.parentElement.id") == ANCHOR
    page.close()


def test_what_is_chosen_is_in_the_address(browser: Browser, published: str) -> None:
    """Filter, order and selection survive a reload and can be sent to somebody else; so can a link to a twin."""
    page = opened(browser, published)
    every = len(shown(page))
    page.locator("input[name=find]").fill("base-create")
    page.locator("input[name=outcome][value=converged]").uncheck()
    page.locator("select[name=sort]").select_option("place")
    chosen = shown(page)
    assert 0 < len(chosen) < every
    again = opened(browser, page.url)
    assert shown(again) == chosen
    assert again.locator("input[name=find]").input_value() == "base-create"

    again.get_by_role("button", name="show all").click()
    again.wait_for_url("**#trials")
    assert len(shown(again)) == every
    again.locator("#kind-1").get_by_text("all its trials").click()
    again.wait_for_url("**#?kind=1")
    again.wait_for_function("document.querySelectorAll('.trial:not([hidden])').length === 2")
    twin = opened(browser, f"{published}#{ANCHOR.replace('_process', '_tree')}")
    twin.locator(".trial[open] .story").wait_for()
    assert twin.evaluate("document.activeElement.parentElement.id") == ANCHOR
    for each in (page, again, twin):
        each.close()


def test_nothing_is_cut_on_a_phone_or_on_paper(browser: Browser, published: str) -> None:
    """A phone scrolls down only, but for tables in boxes of their own; on paper those have the paper's width too."""
    page = opened(browser, published, width=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    wide = page.evaluate(
        "[...document.querySelectorAll('table, p, pre, summary, dd, h3')]"
        ".filter(each => each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML.slice(0, 80))"
    )
    assert wide == []
    assert page.locator("#kind-1 .story").is_visible(), "stories of the kinds are printed"
    page.close()


def test_no_text_of_a_run_acts_in_the_page(browser: Browser, tmp_path: Path) -> None:
    """Names and reasons that others wrote are text in the page and in what is unpacked, and never run."""
    evil = "</script><img src=x onerror=alert(1)>"
    trials = mixed()
    trials[0] = trials[0].__class__(**{**trials[0].as_json(), "id": evil, "reason": evil, "operation": evil})
    report(tmp_path, trials)
    page = browser.new_page()
    acted: list[str] = []
    page.on("dialog", lambda dialog: acted.append(dialog.message))
    page.on("request", lambda request: acted.append(request.url) if "report.html" not in request.url else None)
    page.goto((tmp_path / "report.html").as_uri())
    page.locator(".trial > summary").first.click()
    page.locator(".trial[open] dl").wait_for()

    assert evil in page.locator(".trial[open]").inner_text()
    assert acted == []
    page.close()


def test_a_large_run_is_a_small_file(published: str) -> None:
    """Some 750 trials with stories take less than 3 MB."""
    assert Path(published.removeprefix("file://")).stat().st_size < 3_000_000
