"""ci/: the gate's script, run as a CI runs it, and the files by which GitHub and GitLab call it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .toys import STRIKE, environment, shell_driver

CI = Path(__file__).parents[1] / "ci"
WEDGED = "[ ! -e {root}/new ] || { echo 'new is there' >&2; exit 1; }; echo x > {root}/new; mv {root}/new {root}/done"


def gate(directory: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The script, with the command of this environment in the search path."""
    (directory / "s.yaml").write_text(f"{STRIKE}victims: [tree]\n")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = {"SCENARIOS": "s.yaml", "WORKERS": "1", **settings}
    return subprocess.run(
        ["sh", str(CI / "gate.sh")],
        cwd=directory,
        env=environment(PATH=path, **settings),
        capture_output=True,
        text=True,
    )


@pytest.mark.xdist_group("shell")
@pytest.mark.turn(0)
def test_the_gate_fails_for_a_failure_and_says_which(tmp_path: Path) -> None:
    """It ends as the run does, with the init as text, a badge, a line for GitHub and the image for the next job.

    Once the failure is known it passes, and an adapter that is wrong is one sentence.
    """
    (tmp_path / "d.toml").write_text(shell_driver(WEDGED))
    summary = tmp_path / "summary"
    ended = gate(tmp_path, DRIVER="d.toml", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))

    assert ended.returncode == 1, ended.stdout + ended.stderr
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("::error ")]
    assert line.startswith("::error title=a driver in a few lines%3A it never comes up again::3 faults: C01")
    assert (
        "After 3 of 7 faults it never comes up again" in summary.read_text()
        and "kill (driver and children)" in summary.read_text()
    )
    assert re.search(r"kill \(driver and children\) +✓+1+✓+\n", summary.read_text())
    assert 'aria-label="crash-tested init: fails"' in (tmp_path / "out/badge.svg").read_text()
    assert json.loads((tmp_path / "out/report.sarif").read_text())["runs"][0]["results"][0]["occurrenceCount"] == 3
    assert (tmp_path / "image.tar.gz").stat().st_size > 50_000_000

    known = subprocess.run(
        [sys.executable, "-m", "crashinit.cli", "baseline", "out"], cwd=tmp_path, capture_output=True, text=True
    )
    (tmp_path / "known.toml").write_text(known.stdout)
    passes = gate(tmp_path, DRIVER="d.toml", BASELINE="known.toml")
    assert passes.returncode == 0, passes.stdout + passes.stderr
    assert "is in the cache" in passes.stdout
    wrong = gate(tmp_path, DRIVER="nosuch", IMAGE="none.tar.gz")
    assert wrong.returncode == 4 and "nosuch" in wrong.stderr


def test_each_setting_of_the_script_can_be_given_on_github() -> None:
    """No variable of the gate is missing in the action, and each input is used."""
    action = yaml.safe_load((CI / "github/action.yml").read_text())
    script = (CI / "gate.sh").read_text()
    read = set(re.findall(r"\$\{?([A-Z_]+)", script)) - {"GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"}
    (step,) = [step for step in action["runs"]["steps"] if step.get("name") == "the gate"]

    assert read == set(step["env"])
    used = set(re.findall(r"inputs\.([a-z-]+)", (CI / "github/action.yml").read_text()))
    assert used == set(action["inputs"])
    kept = set(re.search(r"--preserve-env=(\S+)", step["run"])[1].split(","))  # type: ignore[index]
    assert kept == read | {"GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"}


@pytest.mark.parametrize(("schema", "file"), [("vendor.github-actions", "github/action.yml")])
def test_the_files_are_what_their_readers_take(schema: str, file: str) -> None:
    """By the schema that its reader publishes."""
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(CI / file)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_component_of_gitlab_has_its_inputs_and_a_job(tmp_path: Path) -> None:
    """Its header declares the inputs that the job uses; the job is one by GitLab's schema."""
    spec, job = (CI / "gitlab/crashinit.yml").read_text().split("\n---\n")
    inputs = yaml.safe_load(spec)["spec"]["inputs"]

    assert set(re.findall(r"inputs\.([a-z-]+)", job)) == set(inputs)
    (tmp_path / "job.yml").write_text(job)
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(tmp_path / "job.yml")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
