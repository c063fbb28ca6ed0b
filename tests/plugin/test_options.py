"""The plugin's options: what the command refuses, pytest refuses in the same words, before anything boots."""

import re
from pathlib import Path

import pytest
from crashinit.plugin.options import OPTIONS

from ..toys import crashinit, python
from .test_plugin import project as project
from .test_plugin import run

NOWHERE = {"CRASHINIT_CACHE": "/dev/null/nowhere"}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("shard", "3/2"),
        ("max-time", "soon"),
        ("baseline", "no-such.toml"),
        ("guest", "no-such-guest"),
        ("seed", "seven"),
        ("driver", "no-such-driver"),
        ("set", "no-equals-sign"),
        ("resume", "yes"),
    ],
)
def test_what_the_command_refuses_is_refused_in_its_words(project: Path, option: str, value: str) -> None:
    """By exit code 4, in one sentence, which names the option as pytest has it."""
    options = {"driver": "shell.toml", "seed": "", option: value}
    command = [f"--{name}" if name == "resume" else f"--{name}={text}" for name, text in options.items() if text]
    said = python("crashinit.cli", "run", "s.yaml", *command, cwd=project, **NOWHERE)
    ours = [f"--crashinit-{word[2:]}" for word in command]
    ended = python("pytest", "-p", "no:cacheprovider", "s.yaml", *ours, cwd=project, **NOWHERE)

    assert (ended.returncode, said.returncode) == (4, 4), ended.stdout + ended.stderr + said.stderr
    if option != "seed":  # which the command's own parser refuses
        sentence = said.stderr.strip().removeprefix("crashinit: error: ").replace("'--", "'--crashinit-")
        assert f"crashinit: {sentence}" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--crashinit-fault bang", "'--crashinit-fault' is 'bang', but may only be 'kill'"),
        ("--crashinit-fault kill --crashinit-step nowhere", "'--crashinit-step' is 'nowhere'"),
        ("--crashinit-fault kill --crashinit-deadline soon", "'--crashinit-deadline' is 'soon', and must be a number"),
        ("--crashinit-fault kill s.yaml", "'--crashinit-fault' explores instead of scenario files"),
        ("--crashinit-victim tree", "'--crashinit-victim' is of an exploration: give '--crashinit-fault' as well"),
    ],
)
def test_an_exploration_is_refused_as_the_command_refuses_it(project: Path, options: str, said: str) -> None:
    """Before anything boots; what only an exploration has needs one."""
    ended = run(project, *options.split(), **NOWHERE)

    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert said in ended.stderr
    assert "INTERNALERROR" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("option", ["confirm", "repeat", "seeds"])
def test_a_number_is_one(project: Path, option: str) -> None:
    """Seeds are one at least."""
    for value in ("many", "-1", *(["0"] if option == "seeds" else [])):
        ended = run(project, "s.yaml", f"--crashinit-{option}={value}", **NOWHERE)

        assert ended.returncode == 4, ended.stdout + ended.stderr
        assert f"'--crashinit-{option}' is '{value}', and must be a number" in ended.stderr


def test_each_option_is_a_variable_and_an_ini_key(project: Path) -> None:
    """The command line goes first, then the environment, then the ini file."""
    Path(project / "pytest.ini").write_text("[pytest]\ncrashinit_shard = 9/1\n")
    assert "'--crashinit-shard' is '9/1'" in run(project, "s.yaml", **NOWHERE).stderr
    assert "'--crashinit-shard' is '9/2'" in run(project, "s.yaml", **NOWHERE, CRASHINIT_SHARD="9/2").stderr
    given = run(project, "s.yaml", "--crashinit-shard", "9/3", **NOWHERE, CRASHINIT_SHARD="9/2")
    assert "'--crashinit-shard' is '9/3'" in given.stderr


def test_words_are_apart_as_in_a_shell(project: Path) -> None:
    """An option that may be given several times is one variable; a quote that is left open is said."""
    for value, said in (("root='/x", "'CRASHINIT_SET' is not well quoted"), ("title=mine b", "'--crashinit-set b'")):
        ended = run(project, "s.yaml", **NOWHERE, CRASHINIT_SET=value)
        assert ended.returncode == 4, ended.stdout + ended.stderr
        assert said in ended.stderr


@pytest.mark.parametrize("command", ["run", "explore"])
def test_all_that_the_command_has_pytest_has(command: str) -> None:
    """Each option is one of the plugin, but for second faults, which follow from results, and clusters."""
    named = set(re.findall(r"^ +--([a-z-]+)", crashinit(command, "--help").stdout, re.M)) - {"help"}

    assert len(named) > 10
    assert named - {"depth", "budget", "all", "scheduler", "hosts", "tls"} <= set(OPTIONS)
