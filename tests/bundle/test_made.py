"""What is packed, and that it tells nothing of who packed it."""

import gzip
import json
import shutil
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from crashinit import adapters
from crashinit.bundle import made, nobody
from crashinit.bundle.opened import opened
from crashinit.bundle.tree import names, only_trial
from crashinit.errors import UsageError
from crashinit.faults.powercut.record import LoggedInit
from crashinit.model.fault import kind_of
from crashinit.report import read
from crashinit.report.results import write
from crashinit.run import kept
from crashinit.scenario import plan, scenario

from ..contract.builder import evidence
from ..report.test_story import PUBLISHED, WEDGE
from ..toys import shell_driver
from .conftest import failure, held


def test_all_that_a_reader_and_a_replay_need_is_in_it(bundle: Path) -> None:
    """Scenario, adapter with its files, guest, plan, evidence, reference, kernel log, story, page and README."""
    found = held(bundle)
    (result,) = [json.loads(line) for line in found["results.jsonl"].splitlines()]

    assert set(found) == {
        "README.md", "adapter/dockerd.toml", "bundle.json", "evidence/reference-0.json.gz",
        "evidence/trial.json.gz", "guest/debian12.toml", "kernel.log", "plan.json", "report.html", "results.jsonl",
        "run.json", "scenario.yaml", "story.txt",
    }  # fmt: skip
    assert (result["id"], result["outcome"]) == (WEDGE, "diverged")
    assert [trial["id"] for trial in json.loads(found["plan.json"])] == [WEDGE]
    assert json.loads(found["evidence/trial.json.gz"])["evidence"]["trial"] == WEDGE
    assert f"{WEDGE}: diverged\n".encode() in found["story.txt"]
    assert b"What is left\n    docker-259:1-9962-pool (254:0)  no table\n" in found["story.txt"]
    assert b'suite = "bookworm"' in found["guest/debian12.toml"]


def test_the_readme_says_how_to_see_it_again(bundle: Path) -> None:
    """In plain words, with the commands by the archive's name, and what each file holds."""
    said = held(bundle)["README.md"].decode()

    assert "\ncrashinit replay wedge.tar.gz\n" in said and "\ncrashinit replay wedge.tar.gz --shell\n" in said
    assert "an init that does not recover" in said.splitlines()[0]
    assert "The driver alone was killed before operation 22, dm.table-load pool" in said
    for name in held(bundle):
        assert name == "README.md" or name.startswith("adapter/files/") or name in said


def test_the_scenario_is_that_of_the_trial(bundle: Path, tmp_path: Path) -> None:
    """As the run keeps it, which is read as any scenario; a run that kept none has one found by its name."""
    run = tmp_path / "run"
    shutil.copytree(PUBLISHED, run)
    said = {"title": "By hand.", "name": "steps/pool-create", "step": "pool-create"}
    (run / kept.SCENARIOS).write_text(json.dumps({"steps/pool-create": said}))
    made.make(failure(run), tmp_path / "kept.tar.gz")

    assert yaml.safe_load(held(bundle)["scenario.yaml"])["step"] == "pool-create"
    assert yaml.safe_load(held(tmp_path / "kept.tar.gz")["scenario.yaml"]) == said
    (tmp_path / "scenario.yaml").write_bytes(held(tmp_path / "kept.tar.gz")["scenario.yaml"])
    assert scenario.load(tmp_path / "scenario.yaml").title == "By hand."


def test_the_same_trial_is_the_same_archive(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed on another day, from a copy elsewhere: byte for byte."""
    run = tmp_path / "elsewhere" / "run"
    shutil.copytree(PUBLISHED, run, copy_function=shutil.copyfile)
    again = run / "evidence" / f"{kept.file_name(WEDGE)}.json.gz"
    again.write_bytes(gzip.compress(gzip.decompress(again.read_bytes()), compresslevel=3, mtime=12345))
    monkeypatch.chdir(tmp_path)
    made.make(failure(run), tmp_path / "wedge.tar.gz")

    assert held(tmp_path / "wedge.tar.gz") == held(bundle)
    assert (tmp_path / "wedge.tar.gz").read_bytes() == bundle.read_bytes()


def test_nothing_of_the_host_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No directory of it, no user, no host's name: looked for in every file, unpacked; also of an adapter by its path
    and a run whose record names that."""
    home = tmp_path / "home-of-somebody"
    run = home / "run"
    shutil.copytree(PUBLISHED, run)
    (home / "mine").mkdir()
    (home / "mine" / "helper").write_text("a program")
    adapter = home / "mine" / "mine.toml"
    adapter.write_text('extends = "dockerd"\n[install]\nfiles = [{ source = "helper", target = "/opt/helper" }]\n')
    for name in ("plan.json", "results.jsonl", "run.json"):
        text = (run / name).read_text()
        (run / name).write_text(text.replace('"driver": "dockerd"', f'"driver": "{adapter}"'))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "a-user")
    monkeypatch.setattr(socket, "gethostname", lambda: "a-host")
    monkeypatch.chdir(home)
    made.make(failure(run), home / "mine.tar.gz")
    found = held(home / "mine.tar.gz")

    assert found["adapter/files/helper"] == b"a program"
    assert json.loads(found["plan.json"])[0]["driver"] == "adapter/mine.toml"
    words = [str(tmp_path), "home-of-somebody", "a-host", "a-user", str(Path(__file__).parents[2])]
    words.append(f"{tempfile.gettempdir()}/crashinit-")
    for name, data in found.items():
        assert [word for word in words if word.encode() in data] == [], name


@pytest.mark.parametrize("place", ["text", "binary", "packed"])
def test_what_tells_of_the_host_is_refused_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A program that was built in the user's home directory, a script that names it, an archive that holds it."""
    home = tmp_path / "somebody"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    data = {"text": f"cd {home}\n", "binary": f"\0\1{home}/src\0", "packed": f"{home}/x"}[place].encode()
    (tmp_path / "helper").write_bytes(gzip.compress(data) if place == "packed" else b"x" * (1 << 20) + data)
    (tmp_path / "mine.toml").write_text(
        'extends = "dockerd"\n[install]\nfiles = [{ source = "helper", target = "/opt/helper" }]\n'
    )
    one = failure()
    one = replace(one, trial=replace(one.trial, driver=str(tmp_path / "mine.toml")))

    with pytest.raises(UsageError, match="'adapter/files/helper' of the bundle holds a user's home directory"):
        made.make(one, tmp_path / "mine.tar.gz")
    assert not (tmp_path / "mine.tar.gz").exists()
    made.make(one, tmp_path / "mine.tar.gz", anyway=True)
    assert (tmp_path / "mine.tar.gz").exists()


def test_the_names_of_a_user_and_a_host_are_looked_for_as_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In what is written here; a part of a path, or of another word, is something else."""
    monkeypatch.setattr(socket, "gethostname", lambda: "mapper.example.org")
    (tmp_path / "story.txt").write_text("/dev/mapper/pool, /dev/mapper and the mappers\n")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "program").write_text("the mapper of somebody else\n")
    nobody.refuse(tmp_path, [])

    (tmp_path / "story.txt").write_text("as seen on mapper: it fails\n")
    with pytest.raises(UsageError, match=r"'story\.txt' of the bundle holds the host's name, 'mapper'"):
        nobody.refuse(tmp_path, [])
    (tmp_path / "story.txt").write_text("root@mapper.example.org\n")
    with pytest.raises(UsageError, match=r"holds the host's name, 'mapper\.example\.org'"):
        nobody.refuse(tmp_path, [])


def test_a_trial_without_evidence_is_not_packed() -> None:
    """What its run does not keep cannot be sent, and the command says what to do."""
    other = WEDGE.replace("table-load", "resume")

    with pytest.raises(UsageError, match=f"keeps no evidence of the trial '{other}': 'crashinit replay' runs it"):
        failure(trial=other)


def test_a_power_cut_comes_with_its_recording(tmp_path: Path) -> None:
    """Under a short name in the archive, and where the replay looks for it once it is open."""
    run = tmp_path / "run"
    shutil.copytree(PUBLISHED, run)
    trial = next(one for one in plan.read(run / "plan.json") if kind_of(one.fault).cuts_power and one.state)
    kept.store(run, trial.id, evidence())
    made.make(failure(run, trial.id), tmp_path / "cut.tar.gz")
    where = opened(tmp_path / "cut.tar.gz")
    (recording,) = (where / "powercut").iterdir()

    assert f"powercut/{recording.name}" == dict(names(trial, adapters.load("dockerd")))["powercut/recording.gz"]
    assert (trial.point.operation, trial.state) in LoggedInit.read(recording).states
    assert "--shell" not in held(tmp_path / "cut.tar.gz")["README.md"].decode()


def test_a_long_id_has_a_short_name_in_the_archive(tmp_path: Path) -> None:
    """Which a plain tar has room for; the run that is opened has the names of any run."""
    run = tmp_path / "run"
    shutil.copytree(PUBLISHED, run)
    name = "steps/" + "x" * 400
    trial = replace(next(one for one in plan.read(run / "plan.json") if one.id == WEDGE), id=name)
    plan.write(run / "plan.json", [trial])
    one = next(result for result in read(run).results if result.id == WEDGE)
    write(run, replace(read(run), planned=[name], results=[replace(one, id=name)]))
    kept.store(run, name, kept.stored(run, WEDGE))
    target = tmp_path / made.file_name(failure(run, name))
    made.make(failure(run, name), target)

    assert len(target.name) < 140
    assert only_trial(opened(target), target).id == name
    assert kept.stored(opened(target), name) == kept.stored(run, WEDGE)


def test_a_gzip_header_loses_name_and_time() -> None:
    """And nothing else: what was packed comes out; a header with more in it is written anew."""
    named = gzip.compress(b"content", mtime=7)
    named = named[:3] + b"\x08" + named[4:10] + b"my name\0" + named[10:]
    with_comment = named[:3] + b"\x18" + named[4:18] + b"my words\0" + named[18:]

    for data in (named, with_comment):
        assert gzip.decompress(data) == gzip.decompress(made.nameless(data)) == b"content"
        assert b"my" not in made.nameless(data) and made.nameless(data)[4:8] == bytes(4)


def test_an_adapter_is_packed_with_all_that_it_ships(tmp_path: Path) -> None:
    """What it extends, Python packages, directories, archives, modes: it is read again from there, and alike."""
    from crashinit.bundle import carried

    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "x").write_text("x")
    (tmp_path / "tree" / "link").symlink_to("deep/x")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "secret").chmod(0o4750)
    (tmp_path / "first.toml").write_text(
        shell_driver("true", "toy")
        + '[install]\nfiles = [{ source = "tree", target = "/opt/tree" }, '
        + '{ source = "python:thindriver", target = "/opt/thindriver" }]\n'
    )
    (tmp_path / "second.toml").write_text(
        'extends = "first.toml"\nname = "second"\n[install]\nfiles = [{ source = "secret", target = "/opt/secret" }]\n'
    )
    before = adapters.load(str(tmp_path / "second.toml"))
    file = carried.adapter(str(tmp_path / "second.toml"), before, tmp_path / "out")
    after = adapters.load(str(file))
    ships = {str(path.relative_to(file.parent)) for path in file.parent.rglob("*") if path.is_file()}

    assert {"files/tree/deep/x", "files/tree/link", "files/secret", "files/thindriver/cli.py", "second.toml"} <= ships
    assert not [name for name in ships if "__pycache__" in name]
    assert {(one.target, one.mode) for one in after.install.files} == {
        ("/opt/tree", None), ("/opt/secret", 0o4750), ("/opt/thindriver", None),
    }  # fmt: skip
    same = {"directory", "install"}
    assert after.model_dump(exclude=same) == before.model_dump(exclude=same)


def test_a_link_out_of_what_an_adapter_ships_is_refused(tmp_path: Path) -> None:
    """It would pack something that the adapter does not name."""
    from crashinit.bundle import carried

    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to("/etc/passwd")
    (tmp_path / "toy.toml").write_text(
        shell_driver("true", "toy") + '[install]\nfiles = [{ source = "tree", target = "/opt/tree" }]\n'
    )

    with pytest.raises(UsageError, match="link' is a symbolic link to a directory, or out of"):
        carried.adapter(str(tmp_path / "toy.toml"), adapters.load(str(tmp_path / "toy.toml")), tmp_path / "out")
