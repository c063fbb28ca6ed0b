"""The pytest plugin over scenario files: what is collected, what it costs to look, and what becomes of results."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from crashinit.machine.protocol import Provider
from crashinit.plugin import looks_like_a_scenario
from crashinit.report import read

SCENARIO = "title: killed at each boundary\nname: s\nstep: all\nvictims: [tree]\nrestarts: 1\n"
COMPOSE = "name: other\nservices:\n  web: {image: nginx}\nvolumes: {}\n"
ADAPTER = """
name = "shell"
title = "a driver that is not up to a file 'a' without a 'b'"
root = "/var/lib/d"
init = ["sh", "-c", "mkdir -p {root}; [ ! -e {root}/a ] || [ -e {root}/b ] || exit 1; echo > {root}/a; echo > {root}/b"]
shutdown = ["true"]

[not_applicable]
C02 = "no pool"
C03 = "no pool"
C06 = "no base"
C07 = "no base"
C08 = "no base"
C10 = "no pool"
"""
TEST = "def test_of_somebody_else(): pass\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a scenario, a Python test, and a YAML file that is none of ours."""
    files = {"s.yaml": SCENARIO, "docker-compose.yaml": COMPOSE, "shell.toml": ADAPTER, "test_other.py": TEST}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """pytest as a process of its own, in the project."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--crashinit-driver", "shell.toml", *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("look", ["--collect-only", "--fixtures", "--fixtures-per-test", "--setup-plan"])
def test_to_look_boots_nothing_and_writes_nothing(
    project: Path, look: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The cache stays empty, and so does the directory of the results."""
    cache = tmp_path_factory.mktemp("cache")
    before = sorted(project.rglob("*"))
    ended = run(project, look, "--crashinit-out", "out", CRASHINIT_CACHE=str(cache), PYTHONDONTWRITEBYTECODE="1")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert list(cache.iterdir()) == []
    assert sorted(project.rglob("*")) == before
    assert "a scenario's trials are known when an init has been recorded" in ended.stdout


def test_the_files_of_others_are_passed_over(project: Path) -> None:
    """A docker-compose.yaml stops nothing; a scenario that is misspelt is no file of others."""
    (project / "s.yaml").unlink()

    assert run(project, CRASHINIT_CACHE="/nowhere/to/boot").returncode == 0
    (project / "s.yaml").write_text(SCENARIO.replace("step:", "stpe:").replace("victims: [tree]\n", ""))
    ended = run(project, CRASHINIT_CACHE="/nowhere/to/boot")
    assert ended.returncode == 4
    assert "s.yaml:3: unknown key 'stpe'" in ended.stderr
    assert "docker-compose" not in ended.stderr


def test_all_scenarios_that_come_along_are_found() -> None:
    """None of them is taken for a file of others."""
    scenarios = Path(__file__).parents[1] / "scenarios"

    assert all(looks_like_a_scenario(path) for path in scenarios.rglob("*.yaml"))


@pytest.mark.parametrize("out", ["shell.toml", ".", "/"])
def test_a_place_that_can_be_none_is_one_sentence(project: Path, out: str) -> None:
    """A file, a directory of somebody else: exit code 4 before anything boots, and no traceback."""
    ended = run(project, "s.yaml", "--crashinit-out", out, CRASHINIT_CACHE="/nowhere/to/boot")

    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "INTERNALERROR" not in ended.stdout + ended.stderr
    assert "'--crashinit-out'" in ended.stderr


def test_trials_are_tests(project: Path, provider: Provider) -> None:
    """On two workers: each trial is a test, and its result is in the run's files and in junit; nothing is replaced."""
    provider.template().close()
    arguments = ["-n", "2", "-k", "create", "--crashinit-confirm", "0", "--junitxml", "junit.xml"]
    ended = run(project, *arguments)

    assert ended.returncode == 1, ended.stdout + ended.stderr
    [out] = (project / "reports").iterdir()  # by date: of no earlier run
    results = read(out).results
    assert len(results) == len(read(out).planned) == 2
    assert {result.outcome for result in results} == {"converged", "diverged"}
    cases = {case.get("name") for case in ET.parse(project / "junit.xml").iter("testcase")}
    assert {result.id for result in results} <= cases
    assert f"crashinit: the report is {out.relative_to(project)}/report.html" in ended.stdout
    [failed] = [result.id for result in results if result.outcome == "diverged"]
    assert f"again: crashinit replay {failed} --run {out.relative_to(project)}" in ended.stdout
    assert {path.name for path in out.iterdir()} >= {"plan.json", "run.json", "summary.json", "report.html", "evidence"}

    before = (out / "results.jsonl").read_bytes()
    again = [*arguments[2:], "--crashinit-out", str(out)]
    refused = run(project, *again)
    assert refused.returncode == 4
    assert "holds results already: give '--crashinit-force' to replace them" in refused.stderr
    nothing = run(project, "--crashinit-out", str(out), "--crashinit-force", "-k", "no_such_trial")
    assert nothing.returncode == 5, nothing.stdout
    assert (out / "results.jsonl").read_bytes() == before
    assert json.loads((out / "plan.json").read_text())
    assert run(project, *again, "--crashinit-force").returncode == 1
    assert {result.id for result in read(out).results} == {result.id for result in results}
