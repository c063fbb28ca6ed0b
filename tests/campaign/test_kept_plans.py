"""Plans in the cache: found again while nothing has changed that went into them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.campaign import kept_plans
from crashinit.errors import UsageError
from crashinit.machine.cache import MIB, Shelf
from crashinit.model.trial import Point, Setup
from crashinit.run.kept import Prepared
from crashinit.scenario.scenario import Scenario, find

from ..contract.builder import reference
from ..toys import STRIKE, planned, shell_driver

GUEST = 'name = "mine"\ntitle = "mine"\nsuite = "bookworm"\n'
INSTALL = '[install]\nfiles = [{source = "tool", target = "/opt/tool"}]\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a scenario, an adapter that installs a directory, and a cache of its own."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(STRIKE)
    (tmp_path / "d.toml").write_text(shell_driver("true") + INSTALL)
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/x").write_text("one")
    (tmp_path / "other.toml").write_text(shell_driver("true", "other"))
    return tmp_path


def scenarios(place: Path) -> list[Scenario]:
    return find([place / "s.yaml"])


def prepared(name: str = "s/a") -> Prepared:
    trial = replace(planned(name), setup=Setup("fresh", (), 60.0), point=Point("mkfs", "before", 1, "x"))
    return Prepared([trial], {trial.setup: reference()}, "tcg", [])


def look(place: Path, provider: str = "qemu") -> Prepared | None:
    kept_plans.own_files.cache_clear()
    return kept_plans.recalled(scenarios(place), "d.toml", provider)


def keep(place: Path, plan: Prepared | None = None) -> None:
    kept_plans.keep(plan or prepared(), scenarios(place), "d.toml", "qemu")


def large(where: Path) -> None:
    (where / "file").write_bytes(os.urandom(2 * MIB))


def test_a_plan_is_known_until_another_one_takes_its_place(place: Path) -> None:
    """With its trials and what shards and orders are made from."""
    assert look(place) is None
    keep(place)
    found = look(place)
    assert found and (found.trials, found.references) == (prepared().trials, prepared().references)
    keep(place, prepared("s/b"))
    again = look(place)
    assert again and [trial.id for trial in again.trials] == ["s/b"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("s.yaml", "restarts: 1", "restarts: 2"),
        ("s.yaml", "name: s", "name: t"),
        ("d.toml", "; true", "; false"),
        ("tool/x", "one", "two"),
        ("package/code.py", "one", "two"),
        ("package/clause.toml", "one", "two"),
    ],
)
def test_what_changes_is_planned_anew(
    place: Path, file: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scenario, an adapter, a file that the machine gets, the harness; back as it was, the plan is known again."""
    (place / "package").mkdir()
    for name in ("code.py", "clause.toml"):
        (place / "package" / name).write_text("one")
    monkeypatch.setattr(kept_plans, "PACKAGE", place / "package")
    kept_plans.own_files.cache_clear()
    keep(place)
    before = (place / file).read_text()
    assert old in before
    assert look(place)

    (place / file).write_text(before.replace(old, new))
    assert look(place) is None
    (place / file).write_text(before)
    assert look(place)
    kept_plans.own_files.cache_clear()


def test_other_machines_have_other_plans(place: Path) -> None:
    """Provider, seed, guest, and what a guest's file says; so has a file that is run by its owner only."""
    (place / "g.toml").write_text(GUEST)
    providers = ["qemu", "qemu:1", "qemu-real", "qemu@debian13", f"qemu@{place / 'g.toml'}"]
    keys = [kept_plans.key(scenarios(place), "d.toml", one) for one in providers]
    assert len(set(keys)) == len(keys)

    (place / "g.toml").write_text(GUEST + 'sysctl = {"vm.swappiness" = "1"}\n')
    assert kept_plans.key(scenarios(place), "d.toml", providers[-1]) not in keys
    (place / "tool/x").chmod(0o700)
    assert kept_plans.key(scenarios(place), "d.toml", "qemu") not in keys


def test_who_made_the_root_is_part_of_the_plan(place: Path) -> None:
    """The other adapter's file goes into it as the driver's own."""
    (place / "s.yaml").write_text(STRIKE + f"given: made-by:{place / 'other.toml'}\n")
    keep(place)
    assert look(place)
    (place / "other.toml").write_text(shell_driver("false", "other"))
    assert look(place) is None


def test_a_plan_counts_for_the_caches_limit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes, with the images; one that is damaged, or gone, is not known."""
    monkeypatch.setenv("CRASHINIT_CACHE_LIMIT", "2M")
    keep(place)
    [entry] = Shelf("plans", 9).entries()
    os.utime(entry, (10**9, 10**9))
    Shelf("images", 9).get("a", large)
    assert Shelf("plans", 9).entries() == []
    assert look(place) is None

    keep(place)
    [entry] = Shelf("plans", 9).entries()
    (entry / "plan.json").write_text("[")
    assert look(place) is None


def test_without_a_cache_there_is_no_plan(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is there an error; of an adapter that is not there one is."""
    monkeypatch.setenv("CRASHINIT_CACHE", "/dev/null/nowhere")
    assert look(place) is None
    with pytest.raises(UsageError, match="no-such"):
        kept_plans.recalled(scenarios(place), "no-such", "qemu")
