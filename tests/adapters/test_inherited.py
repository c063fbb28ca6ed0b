"""Adapter files that say only what is different, and settings of the command line."""

from pathlib import Path

import pytest
from crashinit import adapters
from crashinit.adapters import Adapter, changed, load
from crashinit.errors import UsageError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `--set` writes lands there; relative paths are meant from there."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def written(path: Path, text: str) -> Adapter:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return load(str(path))


def got(adapter: Adapter) -> dict[str, str]:
    """Target -> source of the adapter's files."""
    return {file.target: file.source for file in adapter.install.files}


def test_a_file_says_only_what_is_different(tmp_path: Path) -> None:
    """Keys inside tables as well; what it gets with another target comes to what the other one gets."""
    base = load("containerd")
    own = written(
        tmp_path / "mine.toml",
        'extends = "containerd"\ntitle = "mine"\nexpect = { base_size = 4096 }\n'
        '[install]\nfiles = [{ source = "bin/ctd", target = "/usr/bin/containerd", mode = 0o755 }]\n',
    )

    assert (own.name, own.title, own.init, own.before) == ("mine", "mine", base.init, base.before)
    assert own.expect == {**base.expect, "base_size": 4096}
    assert own.install.packages == base.install.packages
    assert got(own).keys() == {*got(base), "/usr/bin/containerd"}
    assert got(own)["/usr/bin/containerd"] == "bin/ctd"
    assert own.install.files[-1].mode == 0o755
    for file in own.install.files[:-1]:  # those of the other file are found where they are
        assert file.path(own.directory).exists()


def test_files_extend_files(tmp_path: Path) -> None:
    """A target that is given again takes the place; each file's paths are meant from its own directory."""
    (tmp_path / "a").mkdir()
    for name in ("one", "two"):
        (tmp_path / "a" / name).write_text("")
    got_one = '[install]\nfiles = [{ source = "one", target = "/x" }, { source = "two", target = "/y" }]\n'
    written(tmp_path / "a" / "first.toml", f'extends = "reference"\n{got_one}')
    own = written(
        tmp_path / "b" / "second.toml",
        'extends = "../a/first.toml"\n[install]\nfiles = [{ source = "three", target = "/y" }]\n',
    )

    assert own.name == "second"
    assert Path(got(own)["/x"]).resolve() == tmp_path / "a" / "one"
    assert got(own)["/y"] == "three"
    assert [file.target for file in own.install.files].count("/y") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "none"', "there is no driver adapter 'none'"),
        ('extends = "none.toml"', "none.toml' does not exist"),
        ("extends = 1", "'extends' must be the name of an adapter"),
        ('extends = "mine.toml"', "more than 10 adapter files extend one another"),
        ('extends = "reference"\ninitt = ["x"]', "unknown key 'initt': did you mean 'init'?"),
        ('extends = "reference"\n[install]\nfiles = 1', "'install.files' is 1, but must be a list"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """In one sentence, as of any adapter file."""
    with pytest.raises(UsageError) as error:
        written(tmp_path / "mine.toml", text)

    assert said in str(error.value)


def test_settings_of_the_command_line(tmp_path: Path) -> None:
    """The file of an own build by its target, any key as TOML has it, and a text without quotes."""
    (tmp_path / "ctd").write_text("")
    name = changed(
        "containerd",
        ["install.files./usr/bin/containerd=ctd", "title=my build", "expect.base_size=4096", 'init=["a", "b"]'],
    )
    own = load(name)

    assert (own.name, own.title, own.expect["base_size"], own.init) == ("containerd-own", "my build", 4096, ("a", "b"))
    assert got(own)["/usr/bin/containerd"] == str(tmp_path / "ctd")
    assert got(own).keys() > got(load("containerd")).keys()
    own.check_files()
    assert changed("containerd", ["title=my build"]) == changed("containerd", ["title=my build"])
    assert changed("containerd", ["title=my build"]) != changed("containerd", ["title=another build"])
    assert load(changed(name, ["title=x"])).name == "containerd-own"
    assert changed("containerd", []) == "containerd"
    assert "containerd" in adapters.names()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("title", "give a key of an adapter file and its value, as KEY=VALUE"),
        ("=x", "give a key of an adapter file"),
        ("a b=c", "'a b' is no key of an adapter file"),
        ("titel=x", "unknown key 'titel': did you mean 'title'?"),
    ],
)
def test_settings_that_are_refused(setting: str, said: str) -> None:
    """In one sentence that names the option, or the key as of a file."""
    with pytest.raises(UsageError) as error:
        load(changed("reference", [setting]))

    assert said in str(error.value)
