"""A root that another version of the driver made."""

from pathlib import Path

import pytest
from crashinit.model.trial import Setup
from crashinit.trial.made_by import made_by

from ..toys import STRIKE, crashinit, shell_driver

pytestmark = pytest.mark.xdist_group("shell")


def test_the_maker_may_have_another_guest() -> None:
    """'@' separates them; without it the guest is the same. Such a root is a used one on the machine's own disk."""
    assert made_by("made-by:containerd@debian13") == ("containerd", "debian13")
    assert made_by("made-by:./old.toml") == ("./old.toml", "")
    setup = Setup("made-by:x", (), 60.0)
    assert (setup.used, setup.made_elsewhere, setup.disks) == (True, True, "")
    assert not Setup("populated", (), 60.0).made_elsewhere


def version(directory: Path, name: str, script: str) -> Path:
    """An adapter of a driver whose versions have one root."""
    path = directory / f"{name}.toml"
    path.write_text(shell_driver(script, name).replace(f"/var/lib/{name}", "/var/lib/versions"))
    return path


@pytest.mark.turn(0)
def test_an_upgrade_is_judged(tmp_path: Path) -> None:
    """The new version begins with what the old one left, sparse files and all, and each crash of it is judged."""
    old = version(tmp_path, "old", "echo 1 > {root}/format; truncate -s 64M {root}/data; echo $* > {root}/options")
    new = version(
        tmp_path, "new", "[ \"$(cat {root}/options)\" = \"$*\" ] || exit 5; "
        "[ $(stat -c %b {root}/data) = 0 ] || exit 3; read f < {root}/format || exit 4; "
        "[ $f = 2 ] || { echo 2 > {root}/next; mv {root}/next {root}/format; }",
    )  # fmt: skip
    (tmp_path / "s.yaml").write_text(f"{STRIKE}victims: [tree]\ngiven: {{made-by: {old}}}\noptions: [a=b]\n")
    ended = crashinit("run", str(tmp_path / "s.yaml"), "--driver", str(new), "--out", str(tmp_path / "o"))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "exec mv" in crashinit("trace", "--driver", str(new), "--given", f"made-by:{old}").stdout


def test_an_upgrade_that_fails_without_a_fault_is_one_sentence(tmp_path: Path) -> None:
    """A version that does not take the other's root is not tried further: what it said, and exit code 1."""
    old = version(tmp_path, "old", "echo 1 > {root}/format")
    new = version(tmp_path, "new", "[ ! -e {root}/format ] || { echo 'format 1 is too old' >&2; exit 3; }")
    ended = crashinit("trace", "--driver", str(new), "--given", f"made-by:{old}")

    assert ended.returncode == 1
    assert "without any fault" in ended.stderr and "format 1 is too old" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_roots_have_to_be_one_directory(tmp_path: Path) -> None:
    """Adapters with other roots are refused with both; so is an adapter that there is not."""
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(shell_driver("true", "old"))
    new.write_text(shell_driver("true", "new"))
    ended = crashinit("trace", "--driver", str(new), "--given", f"made-by:{old}")
    assert ended.returncode == 4
    assert "the root of 'old' is '/var/lib/old', and that of 'new' is '/var/lib/new'" in ended.stderr
    ended = crashinit("trace", "--driver", str(new), "--given", "made-by:nosuch")
    assert ended.returncode == 4 and "nosuch" in ended.stderr
