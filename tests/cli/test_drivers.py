"""Commands on drivers."""

import json
from pathlib import Path

import pytest
from crashinit import families
from crashinit.adapters import load

from ..toys import NO_POOL, crashinit, shell_driver


def test_a_check_says_what_the_adapter_lacks_and_nothing_before(tmp_path: Path) -> None:
    """A source that is not there is told with file, line and key, as what else is wrong with an adapter."""
    (tmp_path / "d.toml").write_text(
        shell_driver("true").replace(NO_POOL, '[install]\nfiles = [{ source = "nonesuch", target = "/x" }]\n' + NO_POOL)
    )
    ended = crashinit("drivers", "check", "./d.toml")

    assert (ended.returncode, ended.stdout) == (4, "")
    assert "error: 'd.toml', line 9: 'install.files.source': the adapter's source" in ended.stderr


@pytest.mark.parametrize("family", ["thinpool", "lvm", "volume"])
def test_a_new_adapter_can_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    """The file that a stranger begins from is valid as it is written, and is not written over another one."""
    monkeypatch.chdir(tmp_path)
    first = crashinit("new", "driver", "mine", "--family", family)

    assert first.returncode == 0, first.stderr
    assert load("./mine.toml").family == families.load(family).name
    again = crashinit("new", "driver", "mine", "--family", family)
    assert again.returncode == 4
    assert "'mine.toml' exists already" in again.stderr


def test_schemas_are_json() -> None:
    """Of the document of records, every key of a volume is described."""
    found = json.loads(crashinit("schema", "records").stdout)

    assert {"name", "id", "size", "ready", "uuid", "fstype"} == set(found["$defs"]["StatedVolume"]["properties"])
    assert json.loads(crashinit("schema", "scenario").stdout)["properties"]["step"]
    assert json.loads(crashinit("schema", "adapter").stdout)["properties"]["volume"]
    assert json.loads(crashinit("schema", "guest").stdout)["properties"]["suite"]
    assert json.loads(crashinit("schema", "results").stdout)["properties"]["outcome"]
