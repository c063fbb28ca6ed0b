"""The cache: entries are whole or not there, and built once."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashinit.errors import HostError
from crashinit.machine.cache import Shelf, cache_dir, digest, disk_errors, require_space


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of this test's own."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


def fill(where: Path) -> None:
    (where / "file").write_text("whole")


def test_built_once() -> None:
    """An entry that exists is not built again."""
    shelf = Shelf("things", keep=2)
    first = shelf.get("key", fill)
    second = shelf.get("key", lambda where: pytest.fail("built again"))

    assert first == second
    assert (first / "file").read_text() == "whole"


def test_failed_build_leaves_nothing(cache: Path) -> None:
    """An error while building leaves no entry, and the next one builds."""

    def fail(where: Path) -> None:
        (where / "half").write_text("")
        raise HostError("no")

    shelf = Shelf("things", keep=2)
    with pytest.raises(HostError):
        shelf.get("key", fail)

    assert [path for path in (cache / "things").iterdir() if path.is_dir()] == []
    assert (shelf.get("key", fill) / "file").exists()


def test_killed_builder_is_swept(cache: Path) -> None:
    """A builder that is killed half-way leaves neither a lock nor rubble that the next one trips over."""
    builder = """
import os, signal
from crashinit.machine.cache import Shelf

def die(where):
    (where / "half").write_text("")
    os.kill(os.getpid(), signal.SIGKILL)

Shelf("things", 2).get("key", die)
"""
    ended = subprocess.run([sys.executable, "-c", builder], check=False)

    assert ended.returncode == -9
    assert (cache / "things" / "key.tmp" / "half").exists()

    entry = Shelf("things", 2).get("key", fill)

    assert sorted(path.name for path in entry.iterdir()) == ["file"]
    assert not (cache / "things" / "key.tmp").exists()


def test_others_rubble_is_swept(cache: Path) -> None:
    """Rubble of another key is removed as well: that key may never be asked for again."""
    (cache / "things" / "dead.tmp").mkdir(parents=True)
    Shelf("things", 2).get("key", fill)

    assert not (cache / "things" / "dead.tmp").exists()


def test_two_builders_at_once() -> None:
    """Of two who want the same entry at the same time one builds and the other waits for it."""
    built = []
    both = threading.Barrier(2)

    def build(where: Path) -> None:
        built.append(threading.get_ident())
        fill(where)

    def ask() -> None:
        both.wait()
        Shelf("things", 2).get("key", build)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(built) == 1


def test_least_recently_used_goes_first(cache: Path) -> None:
    """Only so many entries are kept, and those are the ones used last."""
    shelf = Shelf("things", keep=2)
    for age, key in enumerate(("new", "middle", "old")):
        os.utime(shelf.get(key, fill), (1e9 - age, 1e9 - age))
    shelf.get("old", fill)
    shelf.get("newest", fill)

    assert {path.name for path in (cache / "things").iterdir() if path.is_dir()} == {"old", "newest"}


def test_full_disk() -> None:
    """A full disk is one sentence that says which, and what to do."""
    sentence = "the disk of '/dev' is full; make room there, or set CRASHINIT_CACHE"
    with pytest.raises(HostError, match=sentence), disk_errors(Path("/dev")):
        Path("/dev/full").write_bytes(b"x")


def test_too_little_space(cache: Path) -> None:
    """Space that is known to be too little is told before the work begins."""
    with pytest.raises(HostError, match=r"has \d+ MB free and \d+ MB are needed"):
        require_space(cache_dir(), 1 << 60)


def test_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache directory that cannot be made is one sentence that names it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(HostError, match=r"the cache directory '.*/file/cache' cannot be made \(Not a directory\)"):
        cache_dir()


def test_digest_tells_parts_apart() -> None:
    """Parts that read the same when they are joined have different keys."""
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab", "c") == digest(b"ab", b"c")
