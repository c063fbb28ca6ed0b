"""What the command does with a plan and its results, done by pytest, through real machines."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from crashinit.machine.protocol import Provider
from crashinit.report import read

from ..toys import python
from .test_plugin import SCENARIO, run
from .test_plugin import project as project

QUICK = ("s.yaml", "--crashinit-confirm", "0", "-rxXs")


@pytest.fixture
def machines(provider: Provider) -> None:
    """The image is there."""
    provider.template().close()


def said(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python("crashinit.cli", *arguments, cwd=project)


@pytest.mark.usefixtures("machines")
@pytest.mark.turn(1)
def test_a_known_failure_is_expected(project: Path) -> None:
    """Those of the baseline are xfailed with its reason; a new one fails, and so does a place that names nothing."""
    first = run(project, *QUICK, "--crashinit-out", "first")
    assert first.returncode == 1, first.stdout + first.stderr
    failures = sum(result.outcome == "diverged" for result in read(project / "first").results)
    assert failures
    written = said(project, "baseline", "first").stdout.replace("...", "it is written in two steps")
    known = project / "known.toml"
    known.write_text(written)

    ended = run(project, *QUICK, "--crashinit-out", "second", "--crashinit-baseline", "known.toml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{failures} xfailed" in ended.stdout
    assert "known (" in ended.stdout
    assert f"{failures} known failure" in ended.stdout
    assert "0 new" in ended.stdout
    before, after = (read(project / out).results for out in ("first", "second"))
    assert {one.id: one.outcome for one in before} == {one.id: one.outcome for one in after}

    known.write_text(written.replace("file.write", "file.link").replace("file.create", "file.link"))
    ended = run(project, *QUICK, "--crashinit-out", "third", "--crashinit-baseline", "known.toml", "-n", "1")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"{failures} failed" in ended.stdout
    assert "names nothing" in ended.stdout
    known.write_text("")
    assert "crashinit: new failure: s/" in run(project, *QUICK, "--crashinit-baseline", "known.toml").stdout


@pytest.mark.usefixtures("machines")
@pytest.mark.turn(2)
def test_shards_are_merged_into_the_whole(project: Path) -> None:
    """Two shards, one of them by two workers, are all trials once; the command joins them."""
    for shard, workers in (("1/2", "0"), ("2/2", "2")):
        arguments = ("--crashinit-shard", shard, "--crashinit-out", f"out{shard[0]}", "-n", workers)
        assert run(project, *QUICK, *arguments).returncode in (0, 1)
    merged = said(project, "merge", "out1", "out2", "--out", "whole")

    assert merged.returncode == 1, merged.stdout + merged.stderr
    plan = [trial["id"] for trial in json.loads((project / "whole/plan.json").read_text())]
    shares = [{result.id for result in read(project / f"out{n}").results} for n in (1, 2)]
    assert all(shares)
    assert not shares[0] & shares[1]
    assert sorted(result.id for result in read(project / "whole").results) == sorted(plan)
    assert not read(project / "whole").narrowed


@pytest.mark.usefixtures("machines")
@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.turn(0)
def test_when_the_time_is_over_no_trial_begins(project: Path, workers: str) -> None:
    """They are skipped, and the run says that it left them out; gone on with, it runs these and no other."""
    out = ("--crashinit-out", "out", "-n", workers)
    ended = run(project, *QUICK, *out, "--crashinit-max-time", "0.001s")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    record = read(project / "out")
    plan = [trial["id"] for trial in json.loads((project / "out/plan.json").read_text())]
    left = len(plan) - len(record.results)
    assert left >= len(plan) - 1  # one may begin in the first thousandth of a second
    assert (record.planned, record.narrowed) == ([result.id for result in record.results], True)
    assert f"{left} of {len(plan)} trials: the time was over (0.001 s)" in record.left_out
    assert f"{left} skipped" in ended.stdout

    run(project, *QUICK, *out, "--crashinit-resume", "-k", "create")
    some = {result.id for result in read(project / "out").results}
    assert some
    assert run(project, *QUICK, *out, "--crashinit-resume").returncode in (0, 1)
    results = [result.id for result in read(project / "out").results]
    assert sorted(results) == sorted(plan)
    assert set(results[: len(some)]) == some


@pytest.mark.usefixtures("machines")
@pytest.mark.turn(2)
def test_what_a_scenario_expects_of_its_driver_fails_nobody(project: Path) -> None:
    """Its failure is an expected one, no other is; on a driver of which it expects nothing it is not tried."""
    scenario = (project / "s.yaml").read_text()
    Path(project / "s.yaml").write_text(scenario + "expect: {other: {fails: [C01]}}\n")
    ended = run(project, "s.yaml", CRASHINIT_CACHE="/dev/null/nowhere")
    assert (ended.returncode, "no scenario expects anything of the driver 'shell'" in ended.stderr) == (4, True)
    ended = run(project, CRASHINIT_CACHE="/dev/null/nowhere")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout

    for fails, code, word in (("[C01]", 0, "as expected: 1 scenario"), ("[C12]", 1, "not as expected: s: no trial")):
        Path(project / "s.yaml").write_text(scenario + f"expect: {{shell: {{fails: {fails}, may: [C04, C11, C13]}}}}\n")
        ended = run(project, *QUICK, "-m", "crashinit(fault='kill')")
        assert ended.returncode == code, ended.stdout + ended.stderr
        assert word in ended.stdout
        assert ("xfailed" in ended.stdout) == (code == 0)


@pytest.mark.usefixtures("machines")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_exploration_has_the_trials_of_the_command(project: Path, workers: str) -> None:
    """The same ids; beside Python tests, and without the scenario files that lie there."""
    exploring = ("--crashinit-fault", "kill", "--crashinit-victim", "tree", "--crashinit-confirm", "0")
    ended = run(project, *exploring, "--crashinit-out", "out", "-n", workers, "-k", "create or somebody")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    found = read(project / "out")
    plan = [trial["id"] for trial in json.loads((project / "out/plan.json").read_text())]
    assert {result.id for result in found.results} == {name for name in plan if "create" in name}
    assert all(name.startswith("explore/kill/") for name in plan)
    assert "2 failed" in ended.stdout or "1 failed" in ended.stdout
    assert re.search(r"[1-9] passed", ended.stdout)
    assert any("they were not selected" in sentence for sentence in found.left_out)

    if workers == "0":
        options = ("--fault", "kill", "--victim", "tree", "--confirm", "0", "-k", "create")
        said(project, "explore", "--driver", "shell.toml", *options, "--out", "command")
        assert [trial["id"] for trial in json.loads((project / "command/plan.json").read_text())] == plan
        assert {one.id: one.outcome for one in read(project / "command").results} == {
            one.id: one.outcome for one in found.results
        }


@pytest.mark.usefixtures("machines")
def test_a_listing_knows_the_trials_and_boots_nothing(project: Path) -> None:
    """Where no QEMU is to be found: once the plan is there, and until a scenario says something else."""
    (project / "none").mkdir()
    adapter = project / "shell.toml"
    adapter.write_text(adapter.read_text().replace("in a few lines", f"of {project}"))  # which nobody has planned yet
    listing = ("s.yaml", "--collect-only", "-q")
    unknown = run(project, *listing, PATH=str(project / "none"))
    assert (unknown.returncode, "give '--crashinit-plan'" in unknown.stdout) == (0, True), unknown.stdout

    planned = run(project, *listing, "--crashinit-plan")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    trials = [line for line in planned.stdout.splitlines() if line.startswith("s.yaml::s/")]
    assert len(trials) > 2
    assert not (project / "reports").exists()
    known = run(project, *listing, "-m", "crashinit(victim='tree')", PATH=str(project / "none"))
    assert [line for line in known.stdout.splitlines() if line.startswith("s.yaml::s/")] == trials
    refused = run(project, "s.yaml", PATH=str(project / "none"))
    assert refused.returncode == 4  # a run records its own

    (project / "s.yaml").write_text(SCENARIO.replace("restarts: 1", "restarts: 2"))
    changed = run(project, *listing, PATH=str(project / "none"))
    assert "give '--crashinit-plan'" in changed.stdout and "s.yaml::s/" not in changed.stdout
