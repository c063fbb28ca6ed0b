"""thindriver's command line: exit status and one sentence, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "driver"


def thindriver(*argv: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as people do."""
    command = [sys.executable, "-m", "thindriver", *argv]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=False)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "no command given"),
        (("launch",), "unknown command 'launch'"),
        (("init",), "'--root' is needed"),
        (("init", "--root"), "'--root' needs a value"),
        (("init", "--root", "{root}", "now"), "'init' takes no ID"),
        (("get", "--root", "{root}"), "'get' takes a layer ID"),
        (("get", "../x", "--root", "{root}"), "'../x' cannot name a layer"),
        (("init", "--root", "{root}", "--storage-opts", "x=y"), "unknown option '--storage-opts'"),
        (("init", "--root", "{root}", "--storage-opt", "dm.fs=btrfs"), "'btrfs'"),
        (("init", "--root={root}", "--storage-opt=dm.basesize=x"), "invalid size 'x'"),
    ],
)
def test_wrong_usage_is_status_2_and_touches_nothing(tmp_path: Path, argv: tuple[str, ...], said: str) -> None:
    """One sentence that names what is wrong; the root is not made."""
    root = tmp_path / "root"
    done = thindriver(*(word.replace("{root}", str(root)) for word in argv))

    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("thindriver: ")
    assert done.stderr.count("\n") == 1
    assert not root.exists()


def test_help_names_every_command() -> None:
    """`--help` ends with 0 and prints to standard output."""
    done = thindriver("--help")

    assert done.returncode == 0
    for command in ("init", "status", "shutdown", "create", "get", "put", "remove"):
        assert f"  {command}" in done.stdout


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """Status 1 and one sentence, for a root that cannot be one."""
    root = tmp_path / "file"
    root.touch()
    done = thindriver("shutdown", "--root", str(root))

    assert (done.returncode, done.stderr) == (1, f"thindriver: shutdown: the root '{root}' is not a directory\n")


def test_shutdown_of_nothing_is_fine(tmp_path: Path) -> None:
    """Idempotent from the start, and it makes no root."""
    done = thindriver("shutdown", "--root", str(tmp_path / "none"), "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"root": str(tmp_path / "none")}
    assert not (tmp_path / "none").exists()


def test_light_start() -> None:
    """The modules that make Python slow to start are not imported."""
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import thindriver.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)

    heavy = {"argparse", "subprocess", "typing", "dataclasses", "pathlib", "inspect", "logging", "ctypes", "tempfile"}
    assert set() == heavy & set(done.stdout.split())
