"""What takes minutes has its turn: the test run of a day has a part of it, and '--all-turns' has all.

A test with the mark `turn(N)`, N from 0 to 2, is in the run of each third day. Mutants and other samples take the same
day.
"""

import os
from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar

import pytest

TURNS = 3
DAY = "CRASHINIT_TEST_DAY"
Item = TypeVar("Item")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-turns", action="store_true", help="every long test, mutant and bug, not the day's part")
    parser.addoption(
        "--day",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        default=os.environ.get(DAY),
        help=f"the day whose part of them is run (or ${DAY}; default: today)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Look at the calendar once: a worker of xdist may begin on another day than the process that started it."""
    config.addinivalue_line("markers", f"turn(n): a long test, which is in the run of each {TURNS}rd day")
    told = getattr(config, "workerinput", {}).get(DAY)
    config.option.day = date.fromisoformat(told) if told else config.option.day or date.today()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput[DAY] = node.config.option.day.isoformat()


def pytest_report_header(config: pytest.Config) -> str:
    """What to say to get the same tests again."""
    if config.option.all_turns:
        return "long tests: all"
    return f"long tests: the part of {config.option.day} (again: --day {config.option.day}; all of them: --all-turns)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out those of other days; a test that is named is run."""
    if config.option.all_turns or any("::" in argument for argument in config.args):
        return
    turn = config.option.day.toordinal() % TURNS
    others = [item for item in items if any(mark.args[0] != turn for mark in item.iter_markers("turn"))]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def part(config: pytest.Config, every: Sequence[Item], count: int) -> list[Item]:
    """So many of all for this run; the next day has the next ones, and '--all-turns' has each."""
    return list(every) if config.option.all_turns else of_day(every, count, config.option.day)


def of_day(every: Sequence[Item], count: int, day: date) -> list[Item]:
    """Those of one day. Day by day they go once through all, neighbours spread out."""
    days = -(-len(every) // count)
    return list(every[day.toordinal() % days :: days])
