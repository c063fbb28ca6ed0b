"""The command line as a whole: wrong input, help, exit codes, interruption."""

import signal
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from crashinit import cli
from crashinit.baseline.known import Known
from crashinit.cli.app import exit_code
from crashinit.model.events import RunFinished
from crashinit.report import Reports

from ..report.events import report, results, sequence
from ..toys import crashinit, environment, python


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["rum"], "Did you mean 'run'? See 'crashinit --help'."),
        (["trace"], "Missing option '--driver'"),
        (["run"], "the scenario 'steps/base-create' is for any driver: give '--driver'"),
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
        (["trace"], "crashinit trace"),
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


def test_a_run_that_was_cut_off_is_no_pass(tmp_path: Path) -> None:
    """Neither is one that lost its last results."""
    report(tmp_path / "run", results())
    path = tmp_path / "run/results.jsonl"
    path.write_bytes(path.read_bytes()[:-200])

    assert exit_code(tmp_path / "run") == 3


def test_a_baseline_entry_that_names_nothing_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a whole run an entry without a trial is as rotten as one that no longer fails."""
    report(tmp_path / "run", results())
    entry = Known(clause="C01", words="w", reason="misspelt", at={"mkfz: exec mkfs": frozenset()})

    assert exit_code(tmp_path / "run", []) == 0
    assert exit_code(tmp_path / "run", [entry]) == 1
    assert "mkfz: exec mkfs" in capsys.readouterr().out


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


def test_the_bare_command_shows_its_help() -> None:
    """Whoever types the name alone is told what there is, and that is no error."""
    ended = crashinit()

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == crashinit("--help").stdout


def test_a_shell_completes_commands_and_options() -> None:
    """Tab after the first letters of a command, an option or a driver gives those that begin so."""

    def completed(words: str, at: int) -> list[str]:
        return python(
            "crashinit.cli", _CRASHINIT_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(at)
        ).stdout.split()

    assert completed("crashinit tra", 1) == ["trace"]
    assert completed("crashinit run --no-m", 2) == ["--no-merge"]
    assert completed("crashinit run --driver cry", 3) == ["crypt"]
