"""Commands that plan trials and run them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit import cli
from crashinit.machine.protocol import Provider
from crashinit.model.observation import OperationRecord
from crashinit.model.trial import Setup
from crashinit.run.kept import Prepared

from ..contract.builder import reference
from ..ended import WAYS, ended_from_outside
from ..report.events import report, results
from ..toys import STRIKE, crashinit, environment, planned, shell_driver


def test_a_misspelt_key_is_named_with_file_and_line() -> None:
    """The message of a scenario's mistake reaches the user as it is."""
    Path("bad.yaml").write_text("title: kill it\nstpe: mkfs\n")

    ended = crashinit("run", "--driver", "reference", "bad.yaml")

    assert ended.returncode == 4
    assert "bad.yaml:2: unknown key 'stpe'" in ended.stderr


def test_results_are_never_replaced_unasked(tmp_path: Path) -> None:
    """A second run into the same directory is refused, and names the two ways on."""
    report(tmp_path / "run", results())
    before = (tmp_path / "run/results.jsonl").read_bytes()
    Path("scenario.yaml").write_text("title: kill it before mkfs\nstep: mkfs\n")

    ended = crashinit("run", "--driver", "reference", "scenario.yaml", "--out", "run")

    assert ended.returncode == 4
    assert "'run' holds results already: give '--resume' to go on, '--force' to replace them." in ended.stderr
    assert before == (tmp_path / "run/results.jsonl").read_bytes()


def test_a_run_that_is_gone_on_with_keeps_what_chose_its_trials() -> None:
    """The expression of '-k' goes from the command line to run.json."""
    trial = replace(planned("s/mkfs/tree"), scenario="s")
    Path("s.yaml").write_text("title: kill it before mkfs\nname: s\nstep: mkfs\n")
    Prepared([trial], {trial.setup: reference()}, "tcg", []).store(Path("run"))
    report(Path("run"), [replace(results()[0], id=trial.id)])
    facts = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**facts, "select": "mkfs"}))

    assert cli.main(["run", "s.yaml", "--driver", "reference", "--out", "run", "--resume", "-k", "tree"]) == 0
    assert json.loads(Path("run/run.json").read_text())["select"] == "(mkfs) or (tree)"


def test_a_selection_says_what_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    """How many of the plan's trials '-k' takes, and of which steps; at the beginning, and among what is left out."""
    first = replace(planned("s/mkfs/tree"), scenario="s")
    point = replace(first.point, step="base-create")
    trials = [first, replace(first, id="s/base/mkfs/tree", point=point), replace(first, id="s/other")]
    Path("s.yaml").write_text("title: kill it before mkfs\nname: s\nstep: mkfs\n")
    Prepared(trials, {first.setup: reference()}, "tcg", []).store(Path("run"))
    report(Path("run"), [replace(results()[0], id=trial.id) for trial in trials])

    assert cli.main(["run", "s.yaml", "--driver", "reference", "--out", "run", "--resume", "-k", "mkfs"]) == 0
    assert "'-k' selects 2 of the plan's 3 trials: mkfs 1, base-create 1" in capsys.readouterr().out
    (left,) = json.loads(Path("run/run.json").read_text())["left_out"][-1:]
    assert left == "1 of the plan's 3 trials: they were not selected; those that were: mkfs 1, base-create 1"


def test_a_foreign_directory_is_refused_before_anything_runs() -> None:
    """`--out` at a directory of somebody else, or at `/`."""
    Path("scenario.yaml").write_text("title: kill it before mkfs\nstep: mkfs\n")
    Path("mine").mkdir()
    Path("mine/plan.json").write_text("my plan")

    for out in ("mine", "/"):
        ended = crashinit("run", "--driver", "reference", "scenario.yaml", "--out", out, "--force")
        assert (ended.returncode, len(ended.stderr.splitlines())) == (4, 1)
    assert Path("mine/plan.json").read_text() == "my plan"


@pytest.mark.parametrize("as_json", [False, True])
def test_trace_prints_each_operation_with_its_step(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`trace` prints number, step, key and program; `--json` everything, and nothing else on standard output."""
    operation = OperationRecord(
        n=1,
        key="loop.set-fd data#1",
        kind="loop.set-fd",
        object="data",
        detail={},
        pid=7,
        program="python3",
        seconds=0.1,
    )
    monkeypatch.setattr("crashinit.campaign.planning.trace", lambda *_: [("loopback", operation)])

    assert cli.main(["trace", "--driver", "reference", *(["--json"] if as_json else [])]) == 0
    said = capsys.readouterr().out
    if as_json:
        assert [{"step": "loopback", **operation.model_dump()}] == json.loads(said)
    else:
        assert said.split() == ["1", "loopback", "loop.set-fd", "data#1", "python3"]


@pytest.mark.parametrize(
    ("options", "setup"),
    [
        ([], Setup("fresh", (), 60.0)),
        (["--given", "populated"], Setup("populated", (), 60.0)),
        (["--storage-opt", "a=1", "--storage-opt", "b=2"], Setup("fresh", ("a=1", "b=2"), 60.0)),
    ],
)
def test_trace_is_of_the_init_that_is_asked_for(
    options: list[str], setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root and the storage options are given as `explore` takes them."""
    asked: list[Setup] = []

    def trace(driver: str, provider: str, setup: Setup, emit: object) -> list[object]:
        asked.append(setup)
        return []

    monkeypatch.setattr("crashinit.campaign.planning.trace", trace)

    assert cli.main(["trace", "--driver", "reference", *options]) == 5
    assert asked == [setup]
    assert cli.main(["trace", "--driver", "reference", "--given", "ext4"]) == 4


SHELL = shell_driver("echo x > {root}/a")


@pytest.mark.parametrize("how", WAYS)
def test_a_run_that_is_ended_from_outside_leaves_its_report_and_nothing_else(provider: Provider, how: str) -> None:
    """What was done is reported as interrupted, the exit code is 2, and no process is left."""
    provider.template().close()
    Path("shell.toml").write_text(SHELL)
    Path("s.yaml").write_text(STRIKE)
    arguments = ["crashinit.cli", "run", "s.yaml", "--driver", "shell.toml", "--out", "run"]
    ended_from_outside(arguments, Path("run/results.jsonl"), how)

    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["interrupted"]
    assert 0 < summary["trials"] < summary["planned"]
    assert "interrupted" in Path("run/report.html").read_text()


FULL = """
set -e
mkdir disk
mount -t tmpfs -o size=64k tmpfs disk
set +e
run() { "$0" -m crashinit.cli run s.yaml --driver shell.toml --out disk/run "$@"; }
run > /dev/null 2> full.err; echo $? > full.code
ls -a disk/run > full.ls
cp disk/run/results.jsonl full.jsonl
mount -o remount,size=16m disk
"$0" -m crashinit.cli report disk/run > report.out 2>&1; echo $? > report.code
run --resume > resume.out 2>&1; echo $? > resume.code
cp disk/run/summary.json .
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.turn(2)
def test_a_disk_that_is_full_loses_nothing_that_was_done(provider: Provider) -> None:
    """One sentence and exit code 3; what is there is whole, and '--resume' goes on with it when there is room again."""
    provider.template().close()
    Path("shell.toml").write_text(SHELL)
    Path("s.yaml").write_text(STRIKE)
    # In a name space of its own: the mount ends with it.
    subprocess.run(["unshare", "-m", "sh", "-c", FULL, sys.executable], env=environment(), check=True)

    said = Path("full.err").read_text().splitlines()
    assert Path("full.code").read_text() == "3\n"
    assert len(said) == 1
    assert "'disk/run" in said[0]
    assert "No space left on device: free some space there" in said[0]
    lines = [json.loads(line) for line in Path("full.jsonl").read_text().splitlines()]
    assert lines
    assert ".crashinit-" not in Path("full.ls").read_text()
    assert Path("report.code").read_text() == "0\n", Path("report.out").read_text()
    assert Path("resume.code").read_text() == "0\n", Path("resume.out").read_text()
    summary = json.loads(Path("summary.json").read_text())
    assert summary["trials"] == summary["planned"] == summary["converged"] > len({line["id"] for line in lines})
