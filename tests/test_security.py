"""docs/security.md says what the code does."""

import re
from pathlib import Path

import pytest
from crashinit.adapters import adapter
from crashinit.bundle import image
from crashinit.contract import verdict
from crashinit.files import packed, safe, textfile, yamlfile
from crashinit.guest import group, process
from crashinit.machine import by_agent, channel, upload
from crashinit.scenario import scenario, selection
from crashinit.text import printable

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("a scenario, an adapter file, a baseline", f"{textfile.LIMIT >> 20} MiB"),
        ("a stored file of a run", f"{safe.LIMIT // safe.MIB} MiB"),
        ("a bundle: one file in it", f"{packed.LARGEST >> 30} GiB"),
        ("a bundle: all files in it", f"{packed.LIMIT >> 30} GiB"),
        ("a bundle: the number of its files", f"{packed.ENTRIES:,}"),
        ("a bundle: the driver's root in it", f"{image.LIMIT >> 20} MiB"),
        ("lists and mappings in one another", f"{yamlfile.DEPTH}"),
        ("values in a scenario", f"{yamlfile.NODES:,}"),
        ("the name of a scenario", f"{scenario.NAME_LIMIT} characters"),
        ("the name of an adapter", f"{adapter.NAME_LIMIT} characters"),
        ("`not` and brackets", f"{selection.DEPTH}"),
        ("all files of an adapter together", f"{upload.LIMIT >> 30} GiB"),
        ("their number", f"{upload.ENTRIES:,}"),
        ("one file that is put", f"{by_agent.PUT_LIMIT >> 30} GiB"),
        ("one file that is read back", f"{by_agent.GET_LIMIT >> 20} MiB"),
        ("one answer of a machine", f"{channel.LINE_LIMIT >> 20} MiB"),
        ("each stream of a command", f"{process.OUTPUT_LIMIT >> 20} MiB"),
        ("processes and threads", f"{group.TASKS:,}"),
        ("findings that a reason lists", f"{verdict.SHOWN}"),
    ],
)
def test_the_page_says_the_limits(what: str, limit: str) -> None:
    """Each row of its table of bounds is the limit that the code has."""
    assert re.search(rf"^\| {re.escape(what)}.* \| {re.escape(limit)} \|$", PAGE, re.MULTILINE)


def test_the_page_names_other_numbers_of_the_code() -> None:
    """The length of a printed text, and of a piece of a file."""
    assert f"more than {printable.LIMIT} characters" in PAGE
    assert f"pieces of {by_agent.PIECE >> 20} MiB" in PAGE


@pytest.mark.parametrize("page", ["docs/security.md", "SECURITY.md"])
def test_its_links_lead_somewhere(page: str) -> None:
    """Every file that the pages name is there."""
    path = ROOT / page

    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / link).exists()
