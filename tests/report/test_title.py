"""What a driver is called where people read of it."""

import io
from pathlib import Path

import pytest
from crashinit.model.events import RunFinished, RunStarted, TrialFinished
from crashinit.report import Reports, read
from crashinit.report.differential import drawn, rows
from crashinit.report.title import name, title
from rich.console import Console

from ..toys import shell_driver
from .events import results


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter's file, which is called something else than the driver."""
    path = tmp_path / "some-file.toml"
    path.write_text(shell_driver("true", "shelldriver"))
    return path


def test_a_driver_has_a_name_and_a_title(adapter: Path) -> None:
    """Of an adapter's file those that stand in it; of one that is gone what is known."""
    assert (name(str(adapter)), title(str(adapter))) == ("shelldriver", "a driver in a few lines")
    assert name("reference") == "reference"
    assert name("/gone/x.toml") == title("/gone/x.toml") == "/gone/x.toml"


def test_the_name_is_what_people_read(adapter: Path, tmp_path: Path) -> None:
    """On the console, on the page and in the table of two drivers; the page has the file too, to run it again."""
    screen = io.StringIO()
    with Reports(tmp_path / "run", console=Console(file=screen, width=200)) as emit:
        emit(RunStarted(str(adapter), "qemu", "tcg", [trial.id for trial in results()]))
        for trial in results():
            emit(TrialFinished(trial))
        emit(RunFinished(1.0, False))
    page = (tmp_path / "run/report.html").read_text()
    run = read(tmp_path / "run")
    Console(file=screen, width=200).print(drawn(rows(run, run), run, run))

    assert "30 trials of driver 'shelldriver' on qemu (tcg)" in screen.getvalue()
    assert screen.getvalue().count("shelldriver") == 3
    assert "<dt>driver</dt><dd>shelldriver</dd>" in page
    assert f"<dt>adapter</dt><dd>{adapter}</dd>" in page
