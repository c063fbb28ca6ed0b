"""A hostile driver and a scenario with a hostile name, from the machine to what people read, in both faces."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .toys import environment, shell_driver

pytestmark = pytest.mark.xdist_group("untrusted")  # one run is enough for all

# The first init succeeds. A later one fails, and says so in words that try to take the terminal. What it leaves has a
# name that does the same, and that is no UTF-8.
SCRIPT = r"""
test -e {root}/done && { printf '\033]0;owned\007\033[2J `[x](y)` <b>1 of 1 converged\342\200\256\351\n' >&2; exit 3; }
: > "$(printf '{root}/done')"
: > "$(printf '{root}/\033]0;owned\007\351')"
"""
ADAPTER = shell_driver(SCRIPT, "hostile") + 'C11 = "no init succeeds after the first"\n'
SCENARIO = r"""
title: The second init is reached.
name: "my scenario; touch owned #"
at: ['file.create \x1b]0;owned\x07\udce9#1', 'exit driver#1']
victims: [tree]
"""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the adapter and the scenario, and a run of both by the command in `reports/run`."""
    where = tmp_path_factory.mktemp("my dir")
    (where / "hostile.toml").write_text(ADAPTER)
    (where / "hostile.yaml").write_text(SCENARIO)
    ended = ran(where, "crashinit.cli", "run", "hostile.yaml", "--driver", "./hostile.toml", "--out", "reports/run")
    (where / "said").write_bytes(ended.stdout + ended.stderr)
    assert ended.returncode == 1, ended
    return where


def ran(where: Path, module: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=where, env=environment(NO_COLOR="1"), capture_output=True)


def assert_harmless(said: bytes) -> str:
    """All of it is printable text, in which the driver's words can be read."""
    text = said.decode()
    assert [char for char in text if not (char.isprintable() or char == "\n")] == []
    assert r"\x1b]0;owned\x07\x1b[2J" in text
    return text


def test_the_command_prints_nothing_raw(where: Path) -> None:
    """A run's lines, and the command for a shell names this trial and nothing else."""
    text = assert_harmless((where / "said").read_bytes())
    (command,) = {line.strip() for line in text.splitlines() if line.strip().startswith("crashinit replay")}
    program, verb, trial, *rest = shlex.split(command)

    assert (program, verb) == ("crashinit", "replay")
    assert trial.startswith("my scenario; touch owned #/")
    assert rest in ([], ["--run", "reports/run"], ["--run", "reports/run", "--seed", "0"])


def test_the_printed_command_does_the_trial_again(where: Path) -> None:
    """Pasted into a shell, with this program in crashinit's place, and nothing is touched."""
    text = (where / "said").read_text()
    (command,) = {line.strip() for line in text.splitlines() if line.strip().startswith("crashinit replay")}
    own = f"{shlex.quote(sys.executable)} -m crashinit.cli"
    line = command.replace("crashinit", own, 1) + " --out reports/again"
    ended = subprocess.run(["sh", "-c", line], cwd=where, env=environment(NO_COLOR="1"), capture_output=True)

    assert ended.returncode == 1, ended
    assert_harmless(ended.stdout + ended.stderr)
    assert not (where / "owned").exists()


def test_the_reports_show_it_as_text(where: Path) -> None:
    """The page and the README of the run, made again from what is stored."""
    ended = ran(where, "crashinit.cli", "report", "reports/run", "--readme")
    outcomes = [json.loads(line)["outcome"] for line in (where / "reports/run/results.jsonl").read_text().splitlines()]
    readme = (where / "reports" / "run" / "README.md").read_text()
    page = (where / "reports" / "run" / "report.html").read_text()

    assert ended.returncode == 0, ended
    assert outcomes == ["diverged", "diverged"]
    assert r"`file.create \x1b]0;owned\x07\udce9#1` (tree)" in readme
    assert r"\\x1b\]0;owned\\x07" in readme
    assert r"\`\[x\](y)\` \<b>1 of 1 converged" in readme
    assert "<b>1 of 1" not in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", readme + page)


@pytest.mark.turn(2)
def test_pytest_prints_nothing_raw(where: Path) -> None:
    """The failure of a trial as a test."""
    ended = ran(
        where, "pytest", "hostile.yaml", "--crashinit-driver", "./hostile.toml", "--crashinit-out", "reports/pytest",
        "-p", "no:cacheprovider",
    )  # fmt: skip

    assert ended.returncode == 1, ended
    assert_harmless(ended.stdout + ended.stderr)
