"""The pytest plugin over scenario files: what is collected, what it costs to look, and what becomes of results."""

import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from crashinit.machine.protocol import Provider
from crashinit.report import read
from crashinit.scenario.files import looks_like_a_scenario

from ..ended import ended_from_outside
from ..toys import STRIKE, python, shell_driver

SCENARIO = STRIKE + "victims: [tree]\n"
COMPOSE = "name: other\nservices:\n  web: {image: nginx}\nvolumes: {}\n"
# It is not up to a file 'a' without a 'b'.
ADAPTER = shell_driver("[ ! -e {root}/a ] || [ -e {root}/b ] || exit 1; echo > {root}/a; echo > {root}/b")
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
    arguments = ("-p", "no:cacheprovider", "--crashinit-driver", "shell.toml", *arguments)
    return python("pytest", *arguments, cwd=project, **variables)


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
    """A docker-compose.yaml stops nothing. What looks like a scenario and is none stops only who names it."""
    (project / "s.yaml").unlink()

    assert run(project, CRASHINIT_CACHE="/dev/null/nowhere").returncode == 0
    (project / "s.yaml").write_text(SCENARIO.replace("step:", "stpe:").replace("victims: [tree]\n", ""))
    ended = run(project, CRASHINIT_CACHE="/dev/null/nowhere")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout
    assert "s.yaml:3: unknown key 'stpe'" in ended.stdout
    assert "docker-compose" not in ended.stdout
    for how in ("--collect-only", "-n1"):
        ended = run(project, how, CRASHINIT_CACHE="/dev/null/nowhere")
        assert ended.returncode == 0, ended.stdout + ended.stderr
    ended = run(project, "s.yaml", CRASHINIT_CACHE="/dev/null/nowhere")
    assert ended.returncode == 4
    assert "s.yaml:3: unknown key 'stpe'" in ended.stderr


def test_a_scenario_on_the_command_line_needs_a_driver(project: Path) -> None:
    """Without one pytest would say that there is no such file; a directory is searched all the same."""
    ended = python("pytest", "-p", "no:cacheprovider", "-q", "s.yaml", cwd=project)
    assert ended.returncode == 4
    assert "crashinit: scenario files need a driver: give '--crashinit-driver D'" in ended.stderr
    assert "not found" not in ended.stdout + ended.stderr
    assert python("pytest", "-p", "no:cacheprovider", "-q", cwd=project).returncode == 0


def test_all_scenarios_that_come_along_are_found() -> None:
    """None of them is taken for a file of others."""
    scenarios = Path(__file__).parents[2] / "scenarios"

    assert all(looks_like_a_scenario(path) for path in scenarios.rglob("*.yaml"))


@pytest.mark.parametrize("out", ["shell.toml", ".", "/"])
def test_a_place_that_can_be_none_is_one_sentence(project: Path, out: str) -> None:
    """A file, a directory of somebody else: exit code 4 before anything boots, and no traceback."""
    ended = run(project, "s.yaml", "--crashinit-out", out, CRASHINIT_CACHE="/dev/null/nowhere")

    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "INTERNALERROR" not in ended.stdout + ended.stderr
    assert "'--crashinit-out'" in ended.stderr


def test_a_seed_is_for_machines_that_heed_it(project: Path) -> None:
    """With a provider in real time it is refused in one sentence, before anything boots."""
    asked = ("--crashinit-provider", "qemu-real", "--crashinit-seed", "7")
    ended = run(project, "s.yaml", *asked, CRASHINIT_CACHE="/dev/null/nowhere")

    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "INTERNALERROR" not in ended.stdout + ended.stderr
    assert "the provider 'qemu-real' takes no seed" in ended.stderr


def test_seeds_are_for_machines_that_heed_one(project: Path) -> None:
    """Others refuse them in one sentence with pytest's names of the options, before anything boots."""
    asked = ("--crashinit-provider", "qemu-real", "--crashinit-seeds", "3")
    ended = run(project, "s.yaml", *asked, CRASHINIT_CACHE="/dev/null/nowhere")

    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "INTERNALERROR" not in ended.stdout + ended.stderr
    assert "'qemu-real' takes no seeds: give '--crashinit-provider qemu-virtual', or '--" in ended.stderr
    assert not (project / "reports").exists()


@pytest.mark.turn(2)
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
    assert (
        "holds results already: give '--crashinit-resume' to go on, '--crashinit-force' to replace them"
        in refused.stderr
    )
    nothing = run(project, "--crashinit-out", str(out), "--crashinit-force", "-k", "no_such_trial")
    assert nothing.returncode == 5, nothing.stdout
    assert (out / "results.jsonl").read_bytes() == before
    assert json.loads((out / "plan.json").read_text())
    assert run(project, *again, "--crashinit-force").returncode == 1
    assert {result.id for result in read(out).results} == {result.id for result in results}


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        ("-n 0", {"converged": "", "diverged": "3 of 3"}),
        ("-n 2 --crashinit-confirm 1 --crashinit-repeat 1", {"converged": "2 of 2", "diverged": "2 of 2"}),
    ],
)
def test_how_often_a_trial_fails_is_in_its_result(
    project: Path, provider: Provider, arguments: str, seen: dict[str, str]
) -> None:
    """What diverged is tried twice more unless another number is given; what converged only if that is asked for."""
    provider.template().close()
    ended = run(project, *arguments.split(), "-k", "create", "--crashinit-out", "out")

    assert ended.returncode == 1, ended.stdout + ended.stderr
    results = {result.outcome: result for result in read(project / "out").results}
    assert {outcome: result.seen for outcome, result in results.items()} == seen
    failed = results["diverged"]
    assert (f"{len(failed.tries)} of {len(failed.tries)}", failed.race) == (failed.seen, False)
    assert re.search(rf"seen {failed.seen}|fails under {failed.seen} seeds", ended.stdout)


@pytest.mark.parametrize(("how", "workers"), [("SIGTERM", "0"), ("SIGTERM", "2"), ("the terminal is closed", "2")])
def test_a_run_that_is_ended_from_outside_leaves_its_reports_and_nothing_else(
    project: Path, provider: Provider, how: str, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C does: what was done is reported as interrupted, the exit code is 2, and no process is left."""
    provider.template().close()
    monkeypatch.chdir(project)
    Path("s.yaml").write_text(STRIKE)
    arguments = [
        "pytest", "-p", "no:cacheprovider", "s.yaml", "--crashinit-driver", "shell.toml", "--crashinit-out", "out",
        "--crashinit-confirm", "0", "--junitxml", "junit.xml", "-n", workers,
    ]  # fmt: skip
    ended_from_outside(arguments, Path("out/results.jsonl"), how)

    summary = json.loads(Path("out/summary.json").read_text())
    assert summary["interrupted"]
    assert 0 < summary["trials"] < summary["planned"]
    assert "interrupted" in Path("out/report.html").read_text()
    done = {result.id for result in read(Path("out")).results}
    for junit in ("out/junit.xml", "junit.xml"):
        assert done <= {case.get("name") for case in ET.parse(junit).iter("testcase")}
