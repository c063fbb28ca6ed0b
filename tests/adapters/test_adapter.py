"""Adapter files: what they may say, and what is said when they are wrong."""

import json
import os
import re
from pathlib import Path

import pytest
from crashinit.adapters import load, names
from crashinit.errors import UsageError
from crashinit.machine.guests.image import image

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
    assert all(file.path(adapter.directory).exists() for file in adapter.install.files)
    assert set(adapter.not_applicable) <= set(adapter.kind.clauses)
    assert set(adapter.absent) <= set(adapter.kind.steps)
    assert adapter.expectation((), 60.0).fstype in ("ext4", "xfs", "btrfs")


@pytest.mark.parametrize("name", ["dockerd", "containers-storage", "containerd"])
def test_a_driver_is_described_in_less_than_thirty_lines(name: str) -> None:
    """An adapter file stays a page that its reader takes in at once."""
    path = load(name).directory / f"{name}.toml"

    assert len(path.read_text().splitlines()) < 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "not valid TOML"),
        (DAEMON.replace('init = ["d"]', ""), "the key 'init' is missing"),
        (DAEMON.replace('["d"]', "[]"), "'init' is [], but must be a list of at least 1 item"),
        (DAEMON + "initialise = []", "unknown key 'initialise': "),
        (DAEMON + "directory = '/'", "'directory' is not a key of an adapter file"),
        (DAEMON + "metadata = 'btrfs'", "'metadata' is 'btrfs', but may only be 'none', 'docker'"),
        (DAEMON.replace('log = "ready"', 'log = "r", file = "/f"'), "'ready': give one of 'log', 'file' and 'socket'"),
        (DAEMON.replace('log = "ready"', ""), "'ready': give one of 'log', 'file' and 'socket'"),
        (DAEMON.replace('"ready"', '"("'), "'ready': '(' is no regular expression"),
        (DAEMON.replace("init = ", "inti = "), "line 5: unknown key 'inti': did you mean 'init'?"),
        (DAEMON.replace('["d"]', '"d"'), "line 5: 'init' is 'd', but must be a list in brackets."),
        (DAEMON.replace('["d"]', '["d", "{rot}"]'), "'init' holds '{rot}': what is filled in is 'root'"),
        (DAEMON.replace('"/var/lib/d"', '"lib/d"'), "'root': 'lib/d' must be an absolute path in the machine"),
        (DAEMON + "absent = { mkfz = 'w' }", "'absent' names 'mkfz', which is no step"),
        (DAEMON + "not_applicable = { C99 = 'w' }", "'not_applicable' names 'C99', which is no clause"),
        (DAEMON + "data_root = 'lib'", "'data_root': 'lib' must be an absolute path in the machine"),
        (DAEMON.replace('"/var/lib/d"', '"/var/../d"'), "'root': '/var/../d' must be an absolute path"),
        (DAEMON.replace('"d"', '""', 1), "line 2: 'name': '' is no name for a driver"),
        (DAEMON.replace('"d"', '"../../../../tmp/o/evil"', 1), "'../../../../tmp/o/evil' is no name for a driver"),
        (DAEMON.replace('"d"', '".."', 1), "'..' is no name for a driver"),
        (DAEMON.replace('"d"', '"-n"', 1), "'-n' is no name for a driver"),
        (DAEMON.replace('"d"', '".d"', 1), "'.d' is no name for a driver"),
        (DAEMON.replace('"d"', '"a b"', 1), "'a b' is no name for a driver"),
        (DAEMON.replace('"d"', f'"{"d" * 65}"', 1), "at most 64 of them"),
        (DAEMON.replace("a daemon", r"\u001b]0;owned\u0007"), "'title': a title is one line of printable characters"),
        (DAEMON.replace('["d"]', r'["d", "\u0000"]'), "'init' holds a NUL"),
        (DAEMON + r'ready_log = ["\u0000"]', "holds a NUL"),
        (
            DAEMON + "expect = { nosuchfield = 3 }",
            "'nosuchfield' is nothing that can be expected: what can be is fstype",
        ),
        (DAEMON + "expect = { base_sise = 3 }", "what can be is base_size"),
        (DAEMON + "[devices]\nbaes = 'b'", "line 8: unknown key 'devices.baes': did you mean 'base'?"),
        (DAEMON + "devices = 3", "line 7: 'devices' is 3, but must be keys with a value each."),
        (DAEMON + "expect = { deadline = 3 }", "'deadline' is nothing that can be expected"),
        (DAEMON + "expect = { base_size = 'big' }", "'base_size' is 'big', but must be a whole number."),
        (DAEMON + "expect = { base_size = true }", "'base_size' is true, but must be a whole number."),
        (DAEMON + "expect = { base_size = -1 }", "'base_size' is -1, and cannot be negative"),
        (DAEMON + "expect = { backing = 'tape' }", "'backing' is 'tape', but may only be 'loop'"),
        (DAEMON + "expect = { fstype = 4 }", "'fstype' is 4, but must be a text in quotes."),
        (DAEMON + "options = " + "[" * 5000, "not valid TOML: its brackets are nested too deeply"),
        (DAEMON + "options = " + "9" * 5000, "not valid TOML: a number in it has more than 4,300 digits."),
        (DAEMON.replace('log = "ready"', 'file = "run/d"'), "'ready.file': 'run/d' must be an absolute path"),
        (DAEMON.replace('log = "ready"', f'socket = "/{"s" * 120}"'), "the path of a Unix socket has less than 108"),
        (DAEMON.replace('"ready"', f'"{"(" * 2000 + ")" * 2000}"'), "is no regular expression: "),
        (DAEMON.replace('"ready"', '"a{99999999999}"'), "is no regular expression: "),
        (DAEMON.replace('"ready"', r"'\u00e9'"), "is no regular expression: bad escape"),
        (
            DAEMON.replace("/var/lib/d", f"/{'d' * 300}"),
            "'root': a path has less than 4096 bytes, and no name in it more",
        ),
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
        adapter.install.files[0].path(adapter.directory)


@pytest.mark.parametrize(
    "name",
    [
        "-oDPkg::Pre-Invoke::=touch${IFS}/tmp/x",
        "--option=x",
        "two words",
        "two,names",
        "/root/a.deb",
        "./a.deb",
        "?essential",
        "~i",
        "docker.io-",
        "docker.io:i386",
        "docker.io=",
        "docker.io=-1",
        "docker.io/",
        "docker.io/-t",
        "docker.io=1/bookworm",
        "Docker",
        "d",
        "",
        "docker.io\n-y",
    ],
)
def test_what_is_no_package_name_does_not_reach_apt(tmp_path: Path, name: str) -> None:
    """An option, a path, a pattern, a removal, two names in one: refused with the forms that a name has."""
    text = DAEMON + f"[install]\npackages = [{json.dumps(name)}]\n"

    with pytest.raises(UsageError, match="is not the name of a Debian package, which is 'name', 'name=version' or"):
        load(written(tmp_path, text))
    with pytest.raises(UsageError, match="is not the name of a Debian package"):
        image((name,))


@pytest.mark.parametrize(
    "name", ["docker.io", "g++", "lvm2=2.03.16-2", "a1=1:2.3~rc1+b2-1", "zfs-dkms/bookworm-backports"]
)
def test_names_of_packages(tmp_path: Path, name: str) -> None:
    """A name alone, with a version, or with the suite that it comes from."""
    adapter = load(written(tmp_path, DAEMON + f'[install]\npackages = ["{name}"]\n'))

    assert adapter.install.packages == (name,)


@pytest.mark.parametrize("target", ["../../etc/evil", "etc/evil", "/etc/../evil", "/", "//", "/./x", "", r"/x\u0000y"])
def test_targets_are_absolute_paths_in_the_machine(tmp_path: Path, target: str) -> None:
    """The key is named, and nothing of tar's own words."""
    text = DAEMON + f'[install]\nfiles = [{{ source = "d.toml", target = "{target}" }}]'

    with pytest.raises(UsageError, match=r"'install(\.files\.target)?'.*(must be an absolute path|holds a NUL)"):
        load(written(tmp_path, text))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("python:crashinit.nosuch.deep", "'python:crashinit.nosuch.deep' cannot be found: No module named"),
        ("python:nosuch", "'python:nosuch' names no installed Python package"),
        ("python:json.decoder", "'python:json.decoder' names no installed Python package"),
        ("python:.x", "'python:.x' cannot be found"),
        ("python:", "'python:' cannot be found"),
        ("fifo", "/fifo' is neither a regular file nor a directory"),
        ("/dev/null", "'/dev/null' is neither a regular file nor a directory"),
        ("gone", "/gone' does not exist"),
    ],
)
def test_sources_that_cannot_be_had(tmp_path: Path, source: str, said: str) -> None:
    """A module that is not there, a module that is no package, what is no file: each is one sentence."""
    os.mkfifo(tmp_path / "fifo")
    adapter = load(written(tmp_path, DAEMON + f'[install]\nfiles = [{{ source = "{source}", target = "/x" }}]'))

    with pytest.raises(UsageError, match=f"^'{tmp_path}/d.toml', line 8: 'install.files.source': .*{said}"):
        adapter.check_files()


def test_a_source_is_bounded(tmp_path: Path) -> None:
    """A sparse file of 100 GB is refused by its size, before anything of it is read."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(100 << 30)
    adapter = load(written(tmp_path, DAEMON + '[install]\nfiles = [{ source = "sparse", target = "/x" }]'))

    with pytest.raises(
        UsageError,
        match=r"'install\.files\.source': .*/sparse' has 107,374,182,400 bytes: at most 1 GiB can be put into a",
    ):
        adapter.check_files()


def test_an_adapter_file_is_bounded(tmp_path: Path) -> None:
    """What is no regular file, has more than a MiB, or cannot be read is one sentence, at once."""
    os.mkfifo(tmp_path / "fifo.toml")
    large = tmp_path / "large.toml"
    large.write_text("#" * ((1 << 20) + 1))
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "d"\ntitle = "\xe9"\n')

    with pytest.raises(UsageError, match="the adapter file must be a regular file, and this is not one"):
        load(str(tmp_path / "fifo.toml"))
    with pytest.raises(UsageError, match="the adapter file has more than 1 MiB, and that is the limit"):
        load(str(large))
    with pytest.raises(UsageError, match=r"latin\.toml:2: the adapter file is text in UTF-8"):
        load(str(latin))
    with pytest.raises(UsageError, match="' does not exist"):
        load("./no\0name")


def test_placeholders_and_options_in_commands(tmp_path: Path) -> None:
    """{root} and names are replaced wherever they stand; {options} becomes arguments; other braces stay."""
    adapter = load(written(tmp_path, DAEMON + 'options = ["a=1"]'))
    argv = adapter.command(("x", "--home={root}/{id}", "{options}", "awk '{print}'"), ("b=2",), id="i")

    assert argv == ["x", "--home=/var/lib/d/i", "--storage-opt", "a=1", "--storage-opt", "b=2", "awk '{print}'"]


def test_the_probe_is_told_what_is_not_derived_from_the_root(tmp_path: Path) -> None:
    """Names that an adapter gives reach the probe; the others keep the probe's defaults."""
    text = DAEMON + '[devices]\npool = "p"\nbase = "b"\n'

    assert load(written(tmp_path, text)).probed() == {
        "part": "crashinit.families.thinpool.guest",
        "root": "/var/lib/d",
        "format": "none",
        "pool_name": "p",
        "base_name": "b",
    }


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is not taken for a name, and a directory not for a file. Where a relative one leads to is said.

    A run keeps it as it was given, and may be judged again elsewhere.
    """
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UsageError, match=f"'d.toml' does not exist: from this directory it leads to '{tmp_path}/d.toml'"
    ):
        load("d.toml")
    with pytest.raises(UsageError, match="' does not exist"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match="is a directory"):
        load(f"{tmp_path}/")
