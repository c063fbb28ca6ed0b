"""`crashinit bundle`, and what other commands make of a bundle."""

import shutil
from pathlib import Path

import pytest

from ..report.test_story import PUBLISHED, WEDGE
from ..toys import STRIKE, crashinit, shell_driver


@pytest.fixture(autouse=True)
def own_reports(tmp_path: Path) -> None:
    """No other run is found by its trial's id."""
    (tmp_path / "reports").mkdir()


def test_a_failure_is_packed_and_told_from_the_archive() -> None:
    """The command names the archive and the command that replays it; `show` tells the same story without a machine."""
    packed = crashinit("bundle", WEDGE, "--run", str(PUBLISHED))
    name = "dockerd-steps-pool-create-during-dm.table-load-pool-1-process.tar.gz"
    shown, before = crashinit("show", name), crashinit("show", WEDGE, "--run", str(PUBLISHED))

    assert (packed.returncode, packed.stderr) == (0, "")
    assert packed.stdout.splitlines()[0].startswith(f"{name}: ")
    assert packed.stdout.splitlines()[1] == f"replay it, here or elsewhere: crashinit replay {name}"
    assert (shown.returncode, shown.stderr) == (1, "")
    told, was = (done.stdout.partition("\nSee it again\n") for done in (shown, before))
    assert told[0] == was[0]
    assert f"\n      crashinit replay {name}\n" in told[2] and "bundle" not in told[2]
    assert f"\n      crashinit bundle {WEDGE} --run {PUBLISHED}" in was[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bundle", "nosuch"], "no trial 'nosuch' in any plan below 'reports/'"),
        (["bundle", WEDGE, "--run", str(PUBLISHED), "-o", "nowhere/x.tar.gz"], "'nowhere' is no directory"),
        (["show", "nosuch.tar.gz"], "'nosuch.tar.gz' is no file: name a bundle"),
        (["replay", "empty.tar.gz"], "it is no such archive, or is cut off"),
        (["replay", "empty.tar.gz", "--run", "reports"], "'empty.tar.gz' holds a run of its own: leave out '--run'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments: list[str], said: str) -> None:
    """And exit code 4."""
    Path("empty.tar.gz").touch()
    done = crashinit(*arguments)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert said in done.stderr


@pytest.mark.xdist_group("shell")
@pytest.mark.turn(0)
def test_a_bundle_is_replayed_without_what_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere, when run, scenario and adapter are gone: it ends as it did, and the first line says what differs."""
    (tmp_path / "toy.toml").write_text(
        shell_driver("test -e {root}/half && exit 7; touch {root}/half; touch {root}/done; rm {root}/half", "toy")
        + '[install]\nfiles = [{ source = "note", target = "/opt/note" }]\n'
    )
    (tmp_path / "note").write_text("shipped")
    (tmp_path / "s.yaml").write_text(STRIKE)
    ran = crashinit("run", "s.yaml", "--driver", "./toy.toml", "--out", "run", "--confirm", "0", "-k", "unlink")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    trial = next(line.split()[2] for line in ran.stdout.splitlines() if line.startswith("✗ diverged"))
    packed = crashinit("bundle", trial, "--run", "run", "-o", "toy.tar.gz", "--image")
    assert packed.returncode == 0, packed.stderr
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "toy.tar.gz").rename(tmp_path / "elsewhere" / "toy.tar.gz")
    for name in ("toy.toml", "note", "s.yaml"):
        (tmp_path / name).unlink()
    shutil.rmtree(tmp_path / "run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = crashinit("replay", "toy.tar.gz", "--confirm", "0", "--out", "again")

    assert again.returncode == 1, again.stdout + again.stderr
    assert again.stdout.startswith("Nothing is different here: crashinit ")
    assert f"\n{trial}: diverged\n" in again.stdout
    assert "C01 init-succeeds" in again.stdout and "ended with exit status 7" in again.stdout
    assert crashinit("show", trial, "--run", "again").returncode == 1
    shutil.unpack_archive("toy.tar.gz", "x")
    shutil.unpack_archive("x/root.tar.gz", "root")
    assert {path.name for path in Path("root/var/lib/toy").iterdir()} == {"half", "done"}
