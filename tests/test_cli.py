"""The command line: commands, messages, exit codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from crashinit import cli
from crashinit.cli import replay
from crashinit.cli.app import ProviderName, exit_code
from crashinit.contract.observation import OperationRecord
from crashinit.errors import UsageError
from crashinit.events import RunFinished, RunStarted
from crashinit.kept import Prepared
from crashinit.machine.protocol import Provider
from crashinit.plan import Point, Setup, Trial, write
from crashinit.report import Reports
from crashinit.report import baseline as known_failures
from crashinit.report.baseline import Known
from crashinit.selection import matcher
from crashinit.tries import combined

from .contract.builder import reference
from .ended import WAYS, ended_from_outside
from .report.events import failing, mixed, report, results, sequence
from .toys import NO_POOL, STRIKE, environment, python, shell_driver


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CRASHINIT_DEBUG", raising=False)


def crashinit(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    return python("crashinit.cli", *arguments)


def test_a_check_says_what_the_adapter_lacks_and_nothing_before(tmp_path: Path) -> None:
    """A source that is not there is told with file, line and key, as what else is wrong with an adapter."""
    (tmp_path / "d.toml").write_text(
        shell_driver("true").replace(NO_POOL, '[install]\nfiles = [{ source = "nonesuch", target = "/x" }]\n' + NO_POOL)
    )
    ended = crashinit("drivers", "check", "./d.toml")

    assert (ended.returncode, ended.stdout) == (4, "")
    assert "error: 'd.toml', line 9: 'install.files.source': the adapter's source" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing command"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run"], "Missing option '--driver'"),
        (["run", "--driver", "reference", "--bogus"], "No such option: --bogus"),
        (["run", "--driver", "reference", "--provider", "xen"], "'--provider': 'xen' is not one of 'qemu'"),
        (["run", "--driver", "reference", "--provider", "qemu-real", "--seed", "7"], "'qemu-real' takes no seed"),
        (["explore", "--driver", "d", "--fault", "kill", "--provider", "qemu-cold", "--seed", "7"], "takes no seed"),
        (["replay", "plan.json", "--provider", "vagrant", "--seed", "7"], "the provider 'vagrant' takes no seed"),
        (
            ["run", "--driver", "reference", "scenario.yaml", "--provider", "qemu-real", "--seeds", "3"],
            "'qemu-real' takes no seeds: give '--provider ",
        ),
        (["run", "--driver", "reference", "--seeds", "0"], "error: '--seeds' is '0', but must be at least 1. See"),
        (["replay", "plan.json", "--check", "1"], "error: '--check' is '1', but must be at least 2. See"),
        (["run", "--driver", "reference", "--provider", "qemu-virtual", "--seed", "x"], "'--seed'"),
        (["run", "--driver", "reference", "-n", "0"], "error: '-n' is '0', but must be at least 1. See"),
        (["run", "--driver", "reference", "-n", "x"], "error: '-n' is 'x', but must be a whole number. See"),
        (["run", "--driver", "reference", "-n", "65"], "error: '-n' is '65', but must be at most 64. See"),
        (["run", "--driver", "reference", "-n", "9" * 5000], "999', but must be a whole number"),
        (["drivers", "check", "reference", "--deadline", "x"], "error: '--deadline' is 'x', but must be a number. See"),
        (["run", "--driver", "reference", "-k", "and mkfs"], "a word is missing before 'and'"),
        (["run", "--driver", "no-such-driver"], "no-such-driver"),
        (["run", "--driver", "reference", "no-such-file.yaml"], "'no-such-file.yaml' does not exist"),
        (["run", "--driver", "reference", "scenario.yaml", "--resume"], "'--resume' needs '--out DIR'"),
        (["report", "nowhere"], "'nowhere' holds no 'results.jsonl'"),
        (["compare", "nowhere", "elsewhere"], "'nowhere' holds no 'results.jsonl'"),
        (["replay", "steps/mkfs/no/such/trial"], "no trial 'steps/mkfs/no/such/trial' in any plan"),
        (["replay", "plan.json"], "'plan.json' does not exist"),
        (["replay", "plan.json", "--failed", "--clause", "C99"], "'C99' is no clause: they are C01, "),
        (["judge", "nowhere"], "'nowhere' does not exist"),
        (["judge", "x" * 300], "File name too long"),
        (["report", "x" * 300], "File name too long"),
        (["judge", "scenario.yaml"], "'scenario.yaml' holds no 'results.jsonl': name the directory"),
        (["compare", "scenario.yaml", "nowhere"], "'scenario.yaml' holds no 'results.jsonl': name the directory"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_4(arguments: list[str], said: str) -> None:
    """A user's mistake ends with exit code 4 and one line on standard error that names it."""
    Path("scenario.yaml").write_text("title: kill it before mkfs\nstep: mkfs\n")

    ended = crashinit(*arguments)

    assert (ended.returncode, ended.stdout) == (4, "")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("crashinit: error: ")
    assert said in ended.stderr


def test_a_misspelt_key_is_named_with_file_and_line() -> None:
    """The message of a scenario's mistake reaches the user as it is."""
    Path("bad.yaml").write_text("title: kill it\nstpe: mkfs\n")

    ended = crashinit("run", "--driver", "reference", "bad.yaml")

    assert ended.returncode == 4
    assert "bad.yaml:2: unknown key 'stpe'" in ended.stderr


def test_help_names_every_command() -> None:
    """`crashinit --help` lists the commands and ends with 0."""
    ended = crashinit("--help")

    assert ended.returncode == 0
    assert {"doctor", "run", "trace", "replay", "report", "compare"} <= set(ended.stdout.split())


def test_the_version_is_told() -> None:
    """`crashinit --version`, and the package run as a module is the command."""
    ended = python("crashinit", "--version")

    assert (ended.returncode, ended.stdout) == (0, f"crashinit {version('crashinit')}\n")
    assert crashinit("--version").stdout == ended.stdout


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["frobnicate"], "crashinit"),
        (["run"], "crashinit run"),
        (["image", "frobnicate"], "crashinit image"),
        (["drivers", "check"], "crashinit drivers check"),
        (["replay", "x", "--confirm", "many"], "crashinit replay"),
    ],
)
def test_an_error_names_the_help_of_its_command(
    arguments: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page where the option or argument stands that was meant."""
    assert cli.main(arguments) == 4
    assert capsys.readouterr().err.endswith(f"See '{command} --help'.\n")


def test_help_is_light() -> None:
    """Nothing that only a command needs is imported before the command runs."""
    program = "import crashinit.cli, sys; print(*sorted({'pydantic', 'jinja2', 'yaml', 'qemu'} & set(sys.modules)))"

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=True
    )

    assert said.stdout.strip() == ""


def test_results_are_never_replaced_unasked(tmp_path: Path) -> None:
    """A second run into the same directory is refused, and names the two ways on."""
    report(tmp_path / "run", results())
    before = (tmp_path / "run/results.jsonl").read_bytes()
    Path("scenario.yaml").write_text("title: kill it before mkfs\nstep: mkfs\n")

    ended = crashinit("run", "--driver", "reference", "scenario.yaml", "--out", "run")

    assert ended.returncode == 4
    assert "'run' holds results already: give '--resume' to go on, '--force' to replace them." in ended.stderr
    assert before == (tmp_path / "run/results.jsonl").read_bytes()


def test_report_makes_the_files_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`crashinit report DIR` prints where the page is; what the trials' outcomes were does not change its exit code."""
    report(tmp_path / "run", mixed())
    (tmp_path / "run/report.html").unlink()

    assert cli.main(["report", "run"]) == 0
    assert capsys.readouterr().out == "run/report.html\n"
    assert (tmp_path / "run/report.html").stat().st_size > 0


def test_compare_of_equal_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two equal runs end with 0."""
    report(tmp_path / "a", mixed())
    report(tmp_path / "b", mixed())

    assert cli.main(["compare", "a", "b"]) == 0
    assert capsys.readouterr().out == "30 trials are in both runs; 0 differ or are in one run only.\n"


def test_a_count_of_one_is_no_plural(capsys: pytest.CaptureFixture[str]) -> None:
    """One trial is in both runs, and one differs."""
    report(Path("a"), results()[:1])
    report(Path("b"), [failing(results()[0], "diverged", "two loops", {"C03": "fail"})])

    assert cli.main(["compare", "a", "b"]) == 1
    assert capsys.readouterr().out.endswith("\n1 trial is in both runs; 1 differs or is in one run only.\n")


def test_baseline_prints_what_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    """`crashinit baseline DIR > FILE` is a baseline of the run's failures."""
    report(Path("run"), mixed())

    assert cli.main(["baseline", "run"]) == 0
    Path("known.toml").write_text(capsys.readouterr().out)
    assert [entry.id for entry in known_failures.load(Path("known.toml"))] == [mixed()[0].id, mixed()[7].id]


def test_compare_of_different_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any difference ends with 1 and is printed below its trial's id."""
    other = results()
    other[3] = failing(other[3], "diverged", "two loops", {"C01": "pass", "C03": "fail"})
    report(tmp_path / "a", results())
    report(tmp_path / "b", other)

    assert cli.main(["compare", "a", "b"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [other[3].id, "    converged -> diverged: two loops"] == said[:2]
    assert "    C03 pass -> fail: two loops" in said


def test_a_terminal_that_lacks_a_character_gets_an_escape(tmp_path: Path) -> None:
    """Two drivers side by side, in ASCII: the sign for 'differs' is shown as an escape, and no line is lost."""
    other = [replace(result, driver="other") for result in mixed()]
    report(tmp_path / "a", results())
    report(tmp_path / "b", other)
    facts = json.loads((tmp_path / "b" / "run.json").read_text())
    (tmp_path / "b" / "run.json").write_text(json.dumps({**facts, "driver": "other\x1b]0;owned\a [/nope]"}))
    ended = python("crashinit.cli", "compare", "a", "b", cwd=tmp_path, PYTHONIOENCODING="ascii:strict")

    assert (ended.returncode, ended.stderr) == (1, "")
    assert "\\u2260" in ended.stdout
    assert "\\x1b]0;owned" in ended.stdout
    assert "drivers come out differently" in ended.stdout


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["converged"], 0),
        (["converged", "diverged"], 1),
        (["not-fired"], 1),
        (["converged", "error"], 3),
        (["diverged", "error"], 1),
        ([], 5),
    ],
)
def test_exit_code_of_a_run(tmp_path: Path, outcomes: list[str], code: int) -> None:
    """0 only if every trial converged; the driver's divergence outweighs an error of the harness."""
    trials = [replace(trial, outcome=outcome) for trial, outcome in zip(results(), outcomes, strict=False)]  # type: ignore[arg-type]
    report(tmp_path / "run", trials)

    assert code == exit_code(tmp_path / "run")


@pytest.mark.parametrize(("interrupted", "code"), [(True, 2), (False, 3)])
def test_planned_trials_without_a_result_are_no_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interrupted: bool, code: int
) -> None:
    """A run that is incomplete says how much is missing; a baseline does not make up for it."""
    with Reports(tmp_path / "run") as emit:
        for event in [*sequence(results())[:7], RunFinished(1.0, interrupted)]:
            emit(event)

    assert exit_code(tmp_path / "run") == code
    assert "27 of the 30 planned trials have no result" in capsys.readouterr().err
    assert exit_code(tmp_path / "run", []) == code


@pytest.mark.parametrize(("command", "code"), [("judge", 3), ("report", 0), ("baseline", 0)])
def test_a_run_without_any_result_is_told_as_one_with_half_of_them(
    capsys: pytest.CaptureFixture[str], command: str, code: int
) -> None:
    """That planned trials have no result is said by each command, and is not the same as that nothing was to run."""
    Prepared([planned("a"), planned("b")], {planned("a").setup: reference()}, "tcg", []).store(Path("run"))
    with Reports(Path("run")) as emit:
        emit(RunStarted("reference", "qemu", "tcg", ["a", "b"]))
        emit(RunFinished(1.0, False))

    assert cli.main([command, "run"]) == code
    assert "2 of the 2 planned trials have no result: the run ended without them." in capsys.readouterr().err


def test_a_run_that_was_cut_off_is_no_pass(tmp_path: Path) -> None:
    """Neither is one that lost its last results."""
    report(tmp_path / "run", results())
    path = tmp_path / "run/results.jsonl"
    path.write_bytes(path.read_bytes()[:-200])

    assert exit_code(tmp_path / "run") == 3


def test_a_baseline_entry_that_names_nothing_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a whole run an entry without a trial is as rotten as one that no longer fails."""
    report(tmp_path / "run", results())

    assert exit_code(tmp_path / "run", []) == 0
    assert exit_code(tmp_path / "run", [Known(id="steps/mkfs/no/such", reason="misspelt")]) == 1
    assert "steps/mkfs/no/such" in capsys.readouterr().out


def test_an_unexpected_error_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of crashinit itself ends with 3 and one sentence; the traceback is for those who ask for it."""
    monkeypatch.setattr("crashinit.report.remake", lambda _: [][0])

    assert cli.main(["report", "run"]) == 3
    plain = capsys.readouterr().err
    monkeypatch.setenv("CRASHINIT_DEBUG", "1")
    assert cli.main(["report", "run"]) == 3

    assert len(plain.splitlines()) == 1
    assert "a fault of crashinit itself" in plain
    assert "Traceback" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error of the host's file system is one sentence with the path, and exit code 3."""
    report(tmp_path / "run", results())
    (tmp_path / "run/report.html").unlink()
    (tmp_path / "run/report.html").mkdir()

    assert cli.main(["report", "run"]) == 3
    said = capsys.readouterr().err
    assert "report.html" in said
    assert "Is a directory" in said


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may do all, unless setpriv takes it"
)
@pytest.mark.parametrize("mode", [0o000, 0o500])
@pytest.mark.parametrize(
    "command", [["judge", "run"], ["report", "run"], ["run", "--driver", "reference", "--out", "run", "--resume"]]
)
def test_a_directory_that_may_not_be_used_is_wrong_input(command: list[str], mode: int) -> None:
    """Where a run's directory cannot be read, or not be written to, one sentence says what to do; exit code 4."""
    Prepared([planned("a")], {planned("a").setup: reference()}, "tcg", []).store(Path("run"))
    report(Path("run"), [])
    Path("run").chmod(mode)
    own = "-dac_override,-dac_read_search"
    bounded = ["setpriv", f"--bounding-set={own}", f"--inh-caps={own}"] if os.geteuid() == 0 else []
    ended = subprocess.run(
        [*bounded, sys.executable, "-m", "crashinit.cli", *command], env=environment(), capture_output=True, text=True
    )
    Path("run").chmod(0o700)

    assert ended.returncode == 4, ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "Permission denied" in ended.stderr
    assert "copy the run's directory" in ended.stderr or "give another" in ended.stderr


def test_an_interruption_is_exit_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C, SIGTERM and SIGHUP end a command with 2, and the handlers are put back."""
    handler = signal.getsignal(signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        monkeypatch.setattr("crashinit.report.remake", lambda _, number=number: signal.raise_signal(number))

        assert cli.main(["report", "run"]) == 2
        assert capsys.readouterr().err == "crashinit: interrupted\n"
    assert handler == signal.getsignal(signal.SIGTERM)


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`crashinit ... | head` prints nothing on standard error."""
    report(Path("a"), results())
    report(Path("b"), [replace(trial, id=f"{'x' * 4000}/{trial.id}") for trial in results()])
    process = subprocess.Popen(
        [sys.executable, "-m", "crashinit.cli", "compare", "a", "b"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout and process.stderr
    process.stdout.close()

    said = process.stderr.read()
    process.stderr.close()
    process.wait()

    assert said == b""


def planned(name: str) -> Trial:
    point = Point("mkfs", "before", 9, "exec mkfs.ext4")
    return Trial(name, "reference", "steps/mkfs", Setup("fresh", (), 60.0), point, "kill", "tree", 3)


def test_replay_finds_the_newest_plan_that_holds_the_trial(tmp_path: Path) -> None:
    """A trial's id alone is enough below reports/; a named run, or a plan's path, is taken as it is."""
    for age, run in enumerate(("new", "old"), 1):
        (tmp_path / "reports" / run).mkdir(parents=True)
        write(tmp_path / "reports" / run / "plan.json", [planned("a"), planned(run)])
        os.utime(tmp_path / "reports" / run / "plan.json", (10**9 / age, 10**9 / age))
    new, old = Path("reports/new/plan.json"), Path("reports/old/plan.json")

    assert (new, [planned("a")]) == replay._planned("a", None)
    assert (old, [planned("old")]) == replay._planned("old", None)
    assert (old, [planned("a")]) == replay._planned("a", old.parent)
    assert (new, [planned("a"), planned("new")]) == replay._planned(str(new), None)
    with pytest.raises(UsageError, match="no trial 'new' in the plan of 'reports/old'"):
        replay._planned("new", old.parent)


def test_replay_does_not_choose_between_drivers() -> None:
    """Where runs of several drivers have a trial of that id, the choice is shown, and a damaged run is none of it."""
    for driver in ("dockerd", "reference"):
        write(Path(f"reports/{driver}/plan.json"), [replace(planned("a"), driver=driver), planned(driver)])
    Path("reports/broken").mkdir()
    Path("reports/broken/plan.json").write_text("[")

    with pytest.raises(UsageError, match="several drivers have a trial 'a'") as error:
        replay._planned("a", None)
    assert {"'--run reports/dockerd' (dockerd)", "'--run reports/reference' (reference)."} <= set(
        str(error.value).partition("one of ")[2].split(", ")
    )
    assert replay._planned("a", Path("reports/dockerd"))[1][0].driver == "dockerd"
    assert replay._planned("reference", None)[0] == Path("reports/reference/plan.json")


def test_replay_takes_the_seed_that_fails() -> None:
    """That of the trial's result in the run, and the run's provider; of a run without seeds the default one."""
    result = combined([replace(results()[0], seed=7), replace(failing(results()[0], "diverged", "no", {}), seed=8)])
    plan = [planned(result.id), planned("other")]
    report(Path("run"), [result])
    assert replay._machines(None, None, 1, "", Path("run")) == "qemu"
    Path("run/run.json").write_text('{"provider": "qemu-virtual:7"}')

    assert [trial.seed for trial in replay._with_their_seeds(plan, Path("run"))] == [8, None]
    assert replay._with_their_seeds(plan, Path("nowhere")) == plan
    assert replay._machines(None, None, 1, "", Path("run")) == "qemu-virtual:7"
    assert replay._machines(None, None, 5, "", Path("nowhere")) == "qemu:0"
    assert replay._machines(None, 9, 1, "", Path("run")) == "qemu-virtual:9"


def test_replay_takes_the_guest_that_the_run_had() -> None:
    """On whatever provider, unless another guest is asked for; a guest is no reason to have the run's provider."""
    report(Path("run"), results())
    Path("run/run.json").write_text('{"provider": "qemu-cold", "guest": "debian13"}')

    assert replay._machines(None, None, 1, "", Path("run")) == "qemu@debian13"
    assert replay._machines(ProviderName.QEMU_REAL, None, 1, "sid", Path("run")) == "qemu-real@sid"
    assert replay._machines(None, None, 1, "debian12", Path("run")) == "qemu"


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


def test_a_foreign_directory_is_refused_before_anything_runs() -> None:
    """`--out` at a directory of somebody else, or at `/`."""
    Path("scenario.yaml").write_text("title: kill it before mkfs\nstep: mkfs\n")
    Path("mine").mkdir()
    Path("mine/plan.json").write_text("my plan")

    for out in ("mine", "/"):
        ended = crashinit("run", "--driver", "reference", "scenario.yaml", "--out", out, "--force")
        assert (ended.returncode, len(ended.stderr.splitlines())) == (4, 1)
    assert Path("mine/plan.json").read_text() == "my plan"


def test_replay_of_what_failed() -> None:
    """Of a plan only what did not converge, by one clause if one is named, and of one fault one trial."""
    done = mixed()
    done.append(replace(done[0], id="twin", same_as=done[0].id))
    report(Path("run"), done)
    plan = [planned(result.id) for result in done]
    found = replay._failed(plan, Path("run"), None)

    assert [trial.id for trial in found] == [done[index].id for index in (0, 7, 9)]
    assert [trial.id for trial in replay._failed(plan, Path("run"), "C03")] == [done[0].id]
    with pytest.raises(UsageError, match="no trial of 'run' fails C09"):
        replay._failed(plan, Path("run"), "C09")


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
    monkeypatch.setattr("crashinit.planning.trace", lambda *_: [("loopback", operation)])

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

    monkeypatch.setattr("crashinit.planning.trace", trace)

    assert cli.main(["trace", "--driver", "reference", *options]) == 5
    assert asked == [setup]
    assert cli.main(["trace", "--driver", "reference", "--given", "ext4"]) == 4


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("mkfs", ["steps/mkfs/before/tree", "steps/mkfs/after/process"]),
        ("MKFS and not tree", ["steps/mkfs/after/process"]),
        ("loopback or mkfs and process", ["steps/loopback/before/tree", "steps/mkfs/after/process"]),
        ("(loopback or mkfs) and tree", ["steps/loopback/before/tree", "steps/mkfs/before/tree"]),
        ("not (loopback or after)", ["steps/mkfs/before/tree"]),
        ("not not after", ["steps/mkfs/after/process"]),
        ("mkfs/before", ["steps/mkfs/before/tree"]),
    ],
)
def test_selection(expression: str, selected: list[str]) -> None:
    """-k takes words with and, or, not and brackets; `and` binds closer than `or`."""
    names = ["steps/loopback/before/tree", "steps/mkfs/before/tree", "steps/mkfs/after/process"]

    assert selected == list(filter(matcher(expression), names))


@pytest.mark.parametrize("expression", ["", "  ", "and", "a or", "not", "(a", "a)", "a b", "()", "a and or b"])
def test_a_malformed_selection_is_refused(expression: str) -> None:
    """An expression that cannot be read never selects everything, or nothing, by accident."""
    with pytest.raises(UsageError, match="of '-k' is not well formed"):
        matcher(expression)


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
