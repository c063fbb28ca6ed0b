"""A bundle is a stranger's: what is checked before anything of it is used."""

import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from crashinit import adapters
from crashinit.bundle import carried, opened
from crashinit.errors import UsageError
from crashinit.machine import guests
from crashinit.model.trial import Setup
from crashinit.report import read
from crashinit.report.again import replay
from crashinit.report.stories import Stories
from crashinit.run.kept import stored
from crashinit.scenario import plan

from ..report.test_story import PUBLISHED, WEDGE
from .conftest import changed

ADAPTER = "adapter/dockerd.toml"
FILES = "[install]\nfiles = [{{ source = {source}, target = '/opt/x' }}]\n"


def test_what_is_open_is_a_run_like_any_other(bundle: Path) -> None:
    """With its adapter and files in the cache, its story as in the run that it comes from, and the archive's name in
    its commands."""
    where = opened.opened(bundle)
    run, before = read(where), read(PUBLISHED)
    (trial,), (result,) = plan.read(where / "plan.json"), run.results
    there = next(one for one in before.results if one.id == WEDGE)

    assert Path(trial.driver).is_relative_to(where) and adapters.load(trial.driver).name == "dockerd"
    assert (result.outcome, result.clause_reasons, result.guest) == (there.outcome, there.clause_reasons, there.guest)
    assert stored(where, WEDGE) == stored(PUBLISHED, WEDGE)
    told, was = Stories(where, run.driver).of(result), Stories(PUBLISHED, "dockerd").of(there)
    assert told and was and (told.broken, told.facts, told.devices) == (was.broken, was.facts, was.devices)
    assert set(told.commands.values()) == {
        f"crashinit replay {bundle}{more}" for more in ("", " --shell", " --provider qemu-cold")
    }
    assert replay(result, where) == f"crashinit replay {bundle}"


def test_it_is_unpacked_once(bundle: Path) -> None:
    """By its content and the name that was typed; another name has commands of its own."""
    where = opened.opened(bundle)
    (where / "mark").touch()

    assert opened.opened(bundle) == where and (where / "mark").exists()
    other = bundle.with_name("other name.tar.gz")
    other.write_bytes(bundle.read_bytes())
    assert opened.opened(other) != where
    assert replay(read(opened.opened(other)).results[0], opened.opened(other)) == f"crashinit replay '{other}'"


def with_text(name: str, old: str, new: str) -> Callable[[dict[str, bytes]], object]:
    """A change of one file."""

    def change(files: dict[str, bytes]) -> None:
        assert old.encode() in files[name]
        files[name] = files[name].replace(old.encode(), new.encode())

    return change


def with_adapter(text: str) -> Callable[[dict[str, bytes]], object]:
    """What the adapter's file says beyond what it says, or instead of [install]."""

    def change(files: dict[str, bytes]) -> None:
        head = re.sub(r"(?s)\n\[install\].*?(?=\n\[|$)", "", files[ADAPTER].decode())
        files[ADAPTER] = (text if text.startswith("extends") else f"{head}\n{text}").encode()

    return change


TWICE = json.dumps(json.loads((PUBLISHED / "plan.json").read_text())[:2]).encode()
BOMB = gzip.compress(b'{"evidence": ' + b"[" * 200_000)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.pop("bundle.json"), "is no bundle: 'crashinit bundle TRIAL' makes one"),
        (lambda files: files.update({"bundle.json": b"[" * 100_000}), "is no bundle"),
        (lambda files: files.update({"bundle.json": b'{"a": 1' + b" " * (1 << 20) + b"}"}), "is no bundle"),
        (lambda files: files.update({"bundle.json": b"{}"}), "is no bundle of this version"),
        (with_text("bundle.json", '"form": 1', '"form": 2'), "is no bundle of this version"),
        (with_text("bundle.json", '"form": 1', '"form": 1, "run": "rm"'), "is no bundle of this version"),
        (with_text("bundle.json", '"driver": "dockerd"', '"driver": "../../x"'), "is no bundle of this version"),
        (with_text("bundle.json", '"name": "debian12"', '"name": "/etc/x"'), "is no bundle of this version"),
        (with_text("bundle.json", '"name": "debian12"', '"name": "amiga"'), "this version has no guest 'amiga'"),
        (with_text("bundle.json", WEDGE, "steps/other"), "tells of one trial, and its plan has another"),
        (lambda files: files.pop("plan.json"), "does not exist"),
        (lambda files: files.update({"plan.json": TWICE}), "its plan has 2 trials, and not one"),
        (
            with_text("plan.json", '"given": "fresh"', '"given": "made-by:/tmp/x.toml"'),
            "made by an adapter that is not",
        ),
        (lambda files: files.pop("evidence/trial.json.gz"), "it lacks 'evidence/trial.json.gz'"),
        (lambda files: files.pop("evidence/reference-0.json.gz"), "lacks the reference"),
        (lambda files: files.update({"evidence/reference-0.json.gz": BOMB}), "is damaged"),
        (lambda files: files.update({"results.jsonl": b"[]\n"}), "not a trial's result"),
        (lambda files: files.update({"run.json": b"{" * 100_000}), "is damaged"),
        (lambda files: files.pop(ADAPTER), "the adapter file cannot be read"),
        (with_adapter('extends = "dockerd"\n'), "its adapter extends another one"),
        (with_adapter("not TOML"), "not valid TOML"),
        (with_adapter(FILES.format(source="'/etc/hostname'")), "names '/etc/hostname', which is not in it"),
        (
            with_adapter(FILES.format(source="'../../../x'")),
            r"names '\.\./\.\./\.\./x', which is not in it",
        ),
        (with_adapter(FILES.format(source="'python:os'")), "its adapter names 'python:os', which is not in it"),
        (
            with_adapter("[install]\ndebs = ['/etc/hostname']\n"),
            "names '/etc/hostname', which is not in it",
        ),
        (
            with_adapter("[install]\narchives = [{ source = '/etc/hostname' }]\n"),
            "names '/etc/hostname', which is not in it",
        ),
        (with_text(ADAPTER, 'name = "dockerd"', 'name = "other"'), "tells of the driver 'dockerd', and has another"),
    ],
)
def test_what_is_no_bundle_is_refused(
    bundle: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], object], said: str
) -> None:
    """In one sentence; nothing of it stays in the cache."""
    with pytest.raises(UsageError, match=said) as error:
        opened.opened(changed(bundle, tmp_path / "hostile.tar.gz", change))

    assert "\n" not in str(error.value)
    assert not [path for path in (tmp_path / "own cache" / "bundles").iterdir() if path.is_dir()]


def test_its_own_paths_mean_nothing(bundle: Path, tmp_path: Path) -> None:
    """Which adapter and guest its plan and its record name: those of the bundle are taken, whatever stands there."""
    target = tmp_path / "hostile.tar.gz"

    def change(files: dict[str, bytes]) -> None:
        for name, old in (("plan.json", ADAPTER), ("results.jsonl", ADAPTER), ("run.json", ADAPTER)):
            with_text(name, old, "/etc/evil.toml")(files)
        facts = {**json.loads(files["run.json"]), "guest": "/etc/evil.toml", "provider": "vagrant@/etc/evil.toml"}
        files["run.json"] = json.dumps(facts).encode()

    where = opened.opened(changed(bundle, target, change))
    run = read(where)
    assert {run.driver, run.results[0].driver, plan.read(where / "plan.json")[0].driver} == {str(where / ADAPTER)}
    assert run.guest == "debian12"


@pytest.mark.parametrize(("name", "said"), [("nowhere.tar.gz", "is no file"), ("fifo.tar.gz", "is no file")])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, name: str, said: str) -> None:
    """A pipe would have the command wait for ever."""
    os.mkfifo(tmp_path / "fifo.tar.gz")

    with pytest.raises(UsageError, match=said):
        opened.opened(tmp_path / name)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", ""),
        ("packages = ['strace']\nmemory = 512\n[sysctl]\n'vm.swappiness' = 7\n", ""),
        ("mirror = 'http://evil.example'\n", "takes packages from 'http://evil.example'"),
        ("[[sources]]\nuri = 'file:/x'\nsuite = 'x'\n", "takes packages from 'file:/x'"),
        ("key = 'mine.asc'\n", "has a kernel, a key or a box of its own"),
        ("[kernel]\nimage = 'vmlinuz'\n", "has a kernel, a key or a box of its own"),
        ("box = 'evil/box'\n", "has a kernel, a key or a box of its own"),
    ],
)
def test_a_guest_of_somebody_elses_brings_nothing_but_debians_packages(tmp_path: Path, said: str, why: str) -> None:
    """Packages run scripts as root while an image is built: from elsewhere they are taken only with '--guest'."""
    said = said.replace("[", "\n[", 1) if said.startswith("[") else said
    (tmp_path / "mine.toml").write_text(
        f"name = 'mine'\ntitle = 'Mine'\nsuite = 'bookworm'\n{said}".replace(" = '1 2 3 4'", " = 7")
    )
    found = guests.load(str(tmp_path / "mine.toml"))

    assert carried.is_own(found) and not carried.is_own(guests.load("debian12"))
    if not why:
        carried.refuse_foreign(found, Path("x.tar.gz"))
        return
    with pytest.raises(UsageError, match=re.escape(why)) as error:
        carried.refuse_foreign(found, Path("x.tar.gz"))
    assert "give it as '--guest FILE'" in str(error.value)


def test_a_guest_of_ones_own_is_packed_without_its_directories(tmp_path: Path) -> None:
    """The files of a kernel stay where they are: their names tell what is meant, their directories whose they are."""
    (tmp_path / "mine.toml").write_text(
        f"name = 'mine'\ntitle = 'Mine'\nsuite = 'bookworm'\nkey = '{tmp_path}/a.asc'\n"
        f"[kernel]\nimage = '{tmp_path}/vmlinuz'\n"
        f"[[sources]]\nuri = 'http://x.example'\nsuite = 'x'\nkey = '{tmp_path}/k'\n"
    )
    file = carried.guest(guests.load(str(tmp_path / "mine.toml")), tmp_path / "out")
    again = guests.load(str(file))

    assert str(tmp_path) not in file.read_text()
    assert (again.name, again.key, again.kernel.image, again.sources[0].key) == ("mine", "a.asc", "vmlinuz", "k")


@pytest.mark.parametrize(
    ("given", "comes"),
    [
        ("fresh", True),
        ("made-by:containerd-1.7@debian13", True),
        ("made-by:containerd-1.7", True),
        ("made-by:./mine.toml", False),
        ("made-by:containerd-1.7@./mine.toml", False),
    ],
)
def test_only_what_comes_along_may_make_a_root(given: str, comes: bool) -> None:
    """Another driver's adapter is not in the bundle."""
    assert carried.comes_along(Setup(given, (), 60.0)) is comes
