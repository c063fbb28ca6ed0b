"""The cache: entries are whole or not there, and built once."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from crashinit.errors import HostError, UsageError
from crashinit.machine.cache import MIB, Shelf, cache_dir, digest, disk_errors, require_space
from crashinit.machine.qemu import accel


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
from crashinit.machine.qemu import accel
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


NOBODY = 65534


def test_a_cache_that_may_not_be_entered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that exists is not said to be one that cannot be made; the one that shuts the way is named."""
    cache_dir().chmod(0o700)
    there = f"the cache directory '{cache_dir()}' may not be entered by this user; set CRASHINIT_CACHE"
    assert there in as_user(cache_dir)
    (home / ".cache").chmod(0o700)
    assert f"cannot be reached: '{home / '.cache'}' may not be entered (Permission denied)" in as_user(cache_dir)
    monkeypatch.setenv("CRASHINIT_CACHE", "/usr/cache-of-crashinit")
    assert "'/usr/cache-of-crashinit' cannot be made (Permission denied)" in as_user(cache_dir)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home directory of a user who is not root, with a cache that is still to be made below it."""
    home = Path(tempfile.mkdtemp(prefix="crashinit-test-"))
    os.chown(home, NOBODY, NOBODY)
    monkeypatch.setenv("CRASHINIT_CACHE", str(home / ".cache" / "crashinit"))
    yield home
    shutil.rmtree(home)


def as_user(work: Callable[[], object]) -> str:
    """What a process of that user says at the end of this work: "done", or the error's text."""
    theirs, ours = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            work()
            said = "done"
        except BaseException as error:
            said = str(error)
        os.write(ours, said.encode())
        os._exit(0)
    os.close(ours)
    os.waitpid(child, 0)
    with os.fdopen(theirs, "rb") as pipe:
        return pipe.read().decode()


def test_what_sudo_made_belongs_to_the_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an image was built by sudo in a user's cache, the user builds the next entry himself."""
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    Shelf("things", keep=1).get("key", fill)
    accel._remember(accel.Accel("tcg", "no reason"))

    owners = {path: path.lstat().st_uid for path in home.rglob("*")}
    assert len(owners) >= 6
    assert set(owners.values()) == {NOBODY}
    assert as_user(lambda: Shelf("things", keep=1).get("other", fill)) == "done"
    assert [path.name for path in (cache_dir() / "things").iterdir() if path.is_dir()] == ["other"]


def test_what_root_made_in_its_own_directory_stays_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what lies in the caller's own directory is given to the caller."""
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    Shelf("things", keep=2).get("key", fill)

    assert {path.lstat().st_uid for path in cache.rglob("*")} == {0}


def test_a_cache_of_root_is_one_sentence_with_the_command(home: Path) -> None:
    """A user whose cache an earlier root left behind is told whose it is, and the command that mends it."""
    Shelf("things", keep=2).get("key", fill)
    said = as_user(lambda: Shelf("things", keep=2).get("key", fill))

    assert "belongs to 'root' and cannot be written: run 'sudo chown -R 65534 " in said
    assert f"{home}/.cache/crashinit'" in said


def test_a_full_disk_of_the_cache_is_not_blamed_on_the_results(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the probe's answer cannot be stored, the sentence names the cache and CRASHINIT_CACHE."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mounted)], check=True)
    try:
        monkeypatch.setenv("CRASHINIT_CACHE", str(mounted))
        with suppress(OSError):
            (mounted / "filler").write_bytes(bytes(1 << 20))
        with pytest.raises(
            HostError, match=f"the disk of '{mounted}' is full; make room there, or set CRASHINIT_CACHE"
        ):
            accel._remember(accel.Accel("tcg", "no reason"))
        assert [path.name for path in mounted.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_the_cache_keeps_to_its_limit_and_says_what_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not used for longest goes first, of whatever kind; never what was asked for; each removal is said."""

    def large(where: Path) -> None:
        (where / "file").write_bytes(os.urandom(3 * MIB))

    monkeypatch.setenv("CRASHINIT_CACHE_LIMIT", "10M")
    said: list[str] = []
    for age, (kind, key) in enumerate((("images", "a"), ("templates", "b"), ("boxes", "c"))):
        os.utime(Shelf(kind, 9, said.append).get(key, large), (10**9 + age, 10**9 + age))
    assert said == []
    Shelf("templates", 9, said.append).get("d", large)

    assert not Shelf("images", 9).entries()
    assert [entry.name for entry in Shelf("templates", 9).entries()] == ["d", "b"]
    (line,) = said
    assert line.startswith("removed images/a (3 MB)") and "CRASHINIT_CACHE_LIMIT" in line

    monkeypatch.setenv("CRASHINIT_CACHE_LIMIT", "1M")
    Shelf("templates", 9).get("e", large)
    assert [entry.name for entry in Shelf("templates", 9).entries()] == ["e"]


@pytest.mark.parametrize("limit", ["much", "10", "-1G", "1e9G"])
def test_a_limit_that_is_none_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with an example."""
    monkeypatch.setenv("CRASHINIT_CACHE_LIMIT", limit)
    with pytest.raises(UsageError, match=f"CRASHINIT_CACHE_LIMIT is '{limit}'"):
        Shelf("images", 9).get("a", fill)
