"""docs/contract.md and the code state the same contract."""

import re
from pathlib import Path

import pytest
from crashinit import families
from crashinit.contract.clauses import Clause

CLAUSES = {id: clause for id, clause in families.clauses().items() if clause.judge.__module__.startswith("crashinit.")}
PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
SECTIONS = dict(re.findall(r"^## ([A-Z]\d\d [a-z-]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_the_page_has_a_section_for_each_clause_and_no_other() -> None:
    """A clause without a section, or a section without a clause, is a gap in the contract."""
    assert [f"{clause.id} {clause.name}" for clause in CLAUSES.values()] == [*SECTIONS]


@pytest.mark.parametrize("clause", CLAUSES.values(), ids=CLAUSES)
def test_each_section_says_what_why_how_and_when_not(clause: Clause) -> None:
    """Every section has its four parts, and the first is the clause's own requirement."""
    section = SECTIONS[f"{clause.id} {clause.name}"]

    assert re.findall(r"^\*\*(.+?)\.\*\*", section, re.M) == [
        "Requirement",
        "Why",
        "How it is judged",
        "When it is n/a",
    ]
    requirement = (clause.judge.__doc__ or "").split("\n\n")[0]
    assert " ".join(requirement.split()) in " ".join(section.split())


@pytest.mark.parametrize("clause", CLAUSES.values(), ids=CLAUSES)
def test_each_clause_names_its_source(clause: Clause) -> None:
    """The docstring of a clause is its requirement with the source that it rests on."""
    assert "Source: " in (clause.judge.__doc__ or "")
