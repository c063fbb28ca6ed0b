"""Adapter files: what they may say, and what is said when they are wrong."""

import re
from pathlib import Path

import pytest
from crashinit.adapters import load, names
from crashinit.adapters.expectation import expectation_of
from crashinit.contract.clauses import CLAUSES
from crashinit.errors import UsageError
from crashinit.trace import STEPS

DAEMON = """
name = "d"
title = "a daemon"
root = "/var/lib/d"
init = ["d"]
ready = { log = "ready" }
"""


def written(directory: Path, text: str) -> str:
    path = directory / "d.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", names())
def test_every_adapter_that_comes_along_is_whole(name: str) -> None:
    """It loads, its files are there, its exemptions name clauses and steps, and its options can be expected."""
    adapter = load(name)

    assert adapter.name == name
    assert all(file.path(adapter.base).exists() for file in adapter.install.files)
    assert set(adapter.not_applicable) <= set(CLAUSES)
    assert set(adapter.absent) <= set(STEPS)
    assert expectation_of(adapter, (), 60.0).base_size >= 16 << 20


@pytest.mark.parametrize("name", ["dockerd", "containers-storage", "containerd"])
def test_a_driver_is_described_in_less_than_thirty_lines(name: str) -> None:
    """An adapter file stays a page that its reader takes in at once."""
    path = load(name).base / f"{name}.toml"

    assert len(path.read_text().splitlines()) < 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "not valid TOML"),
        (DAEMON.replace('init = ["d"]', ""), "the key 'init' is missing"),
        (DAEMON.replace('["d"]', "[]"), "'init': tuple should have at least 1 item"),
        (DAEMON + "initialise = []", "'initialise' is not a key of an adapter file"),
        (DAEMON + "base = '/'", "'base' is not a key of an adapter file"),
        (DAEMON + "metadata = 'btrfs'", "'metadata': input should be 'docker'"),
        (DAEMON.replace('log = "ready"', 'log = "r", file = "/f"'), "'ready': give one of 'log', 'file' and 'socket'"),
        (DAEMON.replace('log = "ready"', ""), "'ready': give one of 'log', 'file' and 'socket'"),
        (DAEMON.replace('"ready"', '"("'), "'ready': '(' is no regular expression"),
        (DAEMON.replace("init = ", "inti = "), "line 5: 'inti' is not a key of an adapter file: the nearest"),
        (DAEMON.replace('["d"]', '"d"'), "line 5: 'init': a command is a list of words"),
        (DAEMON.replace('["d"]', '["d", "{rot}"]'), "'init' holds '{rot}': what is filled in is 'root'"),
        (DAEMON.replace('"/var/lib/d"', '"lib/d"'), "'root' is 'lib/d', and must be an absolute path"),
        (DAEMON + "absent = { mkfz = 'w' }", "'absent' names 'mkfz', which is no step"),
        (DAEMON + "not_applicable = { C99 = 'w' }", "'not_applicable' names 'C99', which is no clause"),
        (DAEMON.replace("ready = ", "#"), "a driver needs a 'shutdown' command, unless it is a daemon"),
    ],
)
def test_a_broken_file_is_one_sentence_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    """What is wrong is said with the file, the line where the key stands there, and the key."""
    with pytest.raises(UsageError) as error:
        load(written(tmp_path, text))

    assert re.match(rf"'{tmp_path / 'd.toml'}'(, line \d+)?: ", str(error.value))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_source_that_does_not_exist(tmp_path: Path) -> None:
    """Files are looked for beside the adapter file."""
    text = DAEMON + '[install]\nfiles = [{ source = "nonesuch", target = "/x" }]'
    adapter = load(written(tmp_path, text))

    with pytest.raises(UsageError, match=f"'{tmp_path}/nonesuch' does not exist"):
        adapter.install.files[0].path(adapter.base)


def test_placeholders_and_options_in_commands(tmp_path: Path) -> None:
    """{root} and names are replaced wherever they stand; {options} becomes arguments; other braces stay."""
    adapter = load(written(tmp_path, DAEMON + 'options = ["a=1"]'))
    argv = adapter.command(("x", "--home={root}/{id}", "{options}", "awk '{print}'"), ("b=2",), id="i")

    assert argv == ["x", "--home=/var/lib/d/i", "--storage-opt", "a=1", "--storage-opt", "b=2", "awk '{print}'"]


def test_the_probe_is_told_what_is_not_derived_from_the_root(tmp_path: Path) -> None:
    """Names that an adapter gives reach the probe; the others keep the probe's defaults."""
    text = DAEMON + '[devices]\npool = "p"\nbase = "b"\n'

    assert load(written(tmp_path, text)).probed() == {
        "root": "/var/lib/d",
        "format": "none",
        "pool_name": "p",
        "base_name": "b",
    }


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A path is not taken for a name, and a directory not for a file."""
    with pytest.raises(UsageError, match="' does not exist"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match="is a directory"):
        load(f"{tmp_path}/")
