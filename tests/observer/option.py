"""Which drivers the two observers look at."""

import pytest

ALWAYS = ("reference",)
DRIVERS = (*ALWAYS, "containers-storage", "containerd", "dockerd")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--observe-all",
        action="store_true",
        help="hold the gate against strace for every driver, not only the reference (their images take minutes)",
    )


def observed(config: pytest.Config) -> tuple[str, ...]:
    """The drivers of this test run."""
    return DRIVERS if config.option.observe_all else ALWAYS
