"""The documentation: pages that lead somewhere, and lists that leave nothing out."""

import re
from pathlib import Path

import pytest
from crashinit.plugin.options import OPTIONS, variable

TOP = Path(__file__).parents[1]
PAGES = sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md"), *(TOP / "scenarios").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^(```.*?^```|    .*?$)", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_each_link_leads_to_something(page: Path) -> None:
    """A link to a file of the checkout names one that is there; the site's build looks at headings as well."""
    targets = [target.partition("#")[0] for target in LINK.findall(CODE.sub("", page.read_text()))]

    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


def test_every_page_is_in_the_sites_contents() -> None:
    """What is written is found: each page is named in mkdocs.yml, the decisions by their list."""
    named = (TOP / "mkdocs.yml").read_text().partition("\nnav:")[2]

    assert [
        page.name for page in (TOP / "docs").glob("*.md") if not re.search(rf" {re.escape(page.name)}$", named, re.M)
    ] == []


def test_the_page_of_pytest_has_every_option_of_the_plugin() -> None:
    """With its variable and its key in the ini file, in one row."""
    rows = (TOP / "docs/pytest.md").read_text().splitlines()

    for name in OPTIONS:
        row = f"| `--crashinit-{name}` | `{variable(name)}` | `{variable(name).lower()}` |"
        assert any(line.startswith(row) for line in rows), row


def test_the_reference_has_every_variable_that_the_code_reads() -> None:
    """Those of the harness; the plugin's come from its options."""
    text = (TOP / "docs/reference.md").read_text()
    read = {
        name
        for path in (TOP / "harness").rglob("*.py")
        for name in re.findall(r"environ(?:\.get\(|\[)\"(CRASHINIT_[A-Z_]+)\"", path.read_text())
    }

    assert {"CRASHINIT_ACCEL", "CRASHINIT_CACHE"} <= read
    assert {name for name in read if f"`{name}`" not in text} == set()
