"""One archive of a directory, and archives that somebody else made."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from crashinit.errors import UsageError
from crashinit.files import packed


def directory(where: Path, *names: str) -> Path:
    """A directory with these files, each of which holds its name."""
    for name in names:
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_text(name)
    return where


def archive(where: Path, *entries: tuple[str, bytes], size: int = 0) -> Path:
    """An archive with entries of these names and types; `size`: what their headers say, without any content."""
    path = where / "made.tar.gz"
    with gzip.open(path, "wb") as file:
        for name, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, "/etc/passwd", size
            file.write(entry.tobuf(tarfile.GNU_FORMAT))  # which can say any size
        file.write(bytes(2 * packed.BLOCK))
    return path


def test_the_same_files_are_the_same_archive(tmp_path: Path) -> None:
    """Whenever they were written, in which order, by whom and where; what may be run is all that their modes say."""
    one = directory(tmp_path / "one", "b/c", "a", "b-d")
    two = directory(tmp_path / "two", "a", "b-d", "b/c")
    (two / "a").chmod(0o600)
    os.utime(two / "b/c", (1, 1))
    (two / "empty").mkdir()
    for where in (one, two):
        (where / "b-d").chmod(0o700)
        packed.pack(where, tmp_path / f"{where.name}.tar.gz")

    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one.tar.gz") as found:
        assert [(entry.name, entry.mode, entry.mtime, entry.uid, entry.uname) for entry in found] == [
            ("a", 0o644, 0, 0, ""), ("b-d", 0o755, 0, 0, ""), ("b/c", 0o644, 0, 0, ""),
        ]  # fmt: skip


def test_what_was_packed_comes_back(tmp_path: Path) -> None:
    """Content and whether it may be run, also of files that fill whole blocks and of empty ones."""
    made = directory(tmp_path / "made", "a/b c", "é")
    (made / "block").write_bytes(b"x" * packed.BLOCK)
    (made / "nothing").write_bytes(b"")
    (made / "block").chmod(0o755)
    packed.pack(made, tmp_path / "made.tar.gz")
    packed.unpack(tmp_path / "made.tar.gz", tmp_path / "back")

    found = {
        str(path.relative_to(tmp_path / "back")): path for path in (tmp_path / "back").rglob("*") if path.is_file()
    }
    assert {name: path.read_bytes() for name, path in found.items()} == {
        "a/b c": b"a/b c", "\u00e9": "\u00e9".encode(), "block": b"x" * packed.BLOCK, "nothing": b"",
    }  # fmt: skip
    assert [name for name, path in found.items() if os.access(path, os.X_OK) and path.stat().st_mode & 0o100] == [
        "block"
    ]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([("/tmp/x", b"0")], "leads out of it"),
        ([("../x", b"0")], "leads out of it"),
        ([("a/../../x", b"0")], "leads out of it"),
        ([("a//x", b"0")], "leads out of it"),
        ([("./x", b"0")], "leads out of it"),
        ([("a\x1b]0;x", b"0")], "is no name for a file"),
        ([("link", tarfile.SYMTYPE)], "'link' is no regular file"),
        ([("link", tarfile.LNKTYPE)], "'link' is no regular file"),
        ([("tty", tarfile.CHRTYPE)], "'tty' is no regular file"),
        ([("fifo", tarfile.FIFOTYPE)], "'fifo' is no regular file"),
        ([("directory", tarfile.DIRTYPE)], "'directory' is no regular file"),
        ([("pax", tarfile.XHDTYPE)], "'pax' is no regular file"),
        ([("long", tarfile.GNUTYPE_LONGNAME)], "'long' is no regular file"),
        ([("sparse", tarfile.GNUTYPE_SPARSE)], "'sparse' is no regular file"),
        ([("a", b"0"), ("a", b"0")], "two of its files have one name"),
        ([("a", b"0"), ("a/b", b"0")], "two of its files have one name"),
        ([("a/b", b"0"), ("a", b"0")], "two of its files have one name"),
    ],
)
def test_what_no_archive_of_ours_holds_is_refused(tmp_path: Path, entries: list[tuple[str, bytes]], said: str) -> None:
    """Links, devices, headers of other formats, names that lead elsewhere: nothing is written outside."""
    inside = tmp_path / "deep" / "inside"
    with pytest.raises(UsageError, match=said):
        packed.unpack(archive(tmp_path, *entries), inside)

    assert {path.name for path in tmp_path.iterdir()} <= {"made.tar.gz", "deep"}
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]


def test_nothing_may_follow_behind_the_end(tmp_path: Path) -> None:
    """What is read to the end is read within bounds."""
    packed.pack(directory(tmp_path / "made", "a"), tmp_path / "made.tar.gz")
    whole = gzip.decompress((tmp_path / "made.tar.gz").read_bytes())
    for more in (b"x", bytes(10 * tarfile.RECORDSIZE)):
        (tmp_path / "made.tar.gz").write_bytes(gzip.compress(whole + more))
        with pytest.raises(UsageError, match="something follows behind its end"):
            packed.unpack(tmp_path / "made.tar.gz", tmp_path / f"back-{len(more)}")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"no archive at all",
        lambda data: gzip.compress(b"no tar" * 200),
        lambda data: gzip.compress(gzip.decompress(data)[: packed.BLOCK + 1]),
        lambda data: b"",
        lambda data: data[:-8] + bytes(8),
    ],
)
def test_what_is_damaged_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """In one sentence, whichever part of it is."""
    packed.pack(directory(tmp_path / "made", "a", "b"), tmp_path / "made.tar.gz")
    (tmp_path / "made.tar.gz").write_bytes(damage((tmp_path / "made.tar.gz").read_bytes()))

    with pytest.raises(UsageError, match="it is no such archive, or is cut off"):
        packed.unpack(tmp_path / "made.tar.gz", tmp_path / "back")


def test_nothing_larger_than_the_limits_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the headers say is enough: one file, all of them together, their number; a bomb stays packed."""
    for size in (packed.LARGEST + 1, -1):
        with pytest.raises(UsageError, match="holds more than 2 GiB, or one file of more than 1 GiB"):
            packed.unpack(archive(tmp_path, ("large", b"0"), size=size), tmp_path / "back")
    made = directory(tmp_path / "made", "a", "b", "c")
    packed.pack(made, tmp_path / "three.tar.gz")
    for name, value, said in (("LIMIT", 2, "it holds more than"), ("ENTRIES", 2, "it holds more than 2 files")):
        with monkeypatch.context() as changed:
            changed.setattr(packed, name, value)
            with pytest.raises(UsageError, match=said):
                packed.unpack(tmp_path / "three.tar.gz", tmp_path / name)
            with pytest.raises(UsageError, match=said):
                packed.pack(made, tmp_path / "again.tar.gz")
    assert not (tmp_path / "again.tar.gz").exists()


def test_what_cannot_be_packed_is_named(tmp_path: Path) -> None:
    """A name that the format has no room for, and a place that there is not."""
    made = directory(tmp_path / "made", "x" * 150)

    with pytest.raises(UsageError, match=r"'x+' cannot be packed: name is too long"):
        packed.pack(made, tmp_path / "made.tar.gz")
    with pytest.raises(UsageError, match="nowhere' is no directory"):
        packed.pack(made, tmp_path / "nowhere" / "made.tar.gz")
    assert not (tmp_path / "made.tar.gz").exists()


def test_what_tar_writes_by_default_is_not_taken(tmp_path: Path) -> None:
    """Directories and times have entries of their own there: who changes a bundle makes one again with the command."""
    made = directory(tmp_path / "made", "a/b")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as other:
        other.add(made, arcname=".")
    (tmp_path / "other.tar.gz").write_bytes(buffer.getvalue())

    with pytest.raises(UsageError, match="is no regular file"):
        packed.unpack(tmp_path / "other.tar.gz", tmp_path / "back")
