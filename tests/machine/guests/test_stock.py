"""The images in the cache: listed, exported, imported, removed."""

import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from crashinit.errors import UsageError
from crashinit.machine.cache import MIB, Shelf
from crashinit.machine.guests import stock

from ...toys import crashinit

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"
HOLE = 64 * MIB


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, with two small images in it."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "cache"))
    for age, (key, guest) in enumerate(((KEY, "debian12"), (OTHER, "sid"))):

        def build(where: Path, guest: str = guest) -> None:
            facts = {"guest": guest, "kernel": "6.1", "asked": ["udev", "lvm2", "linux-image-cloud-amd64"]}
            (where / "facts.json").write_text(json.dumps(facts))
            for name in ("vmlinuz", "initrd.gz", "empty.qcow2"):
                (where / name).write_text(name)
            with (where / "root.img").open("wb") as disk:
                disk.write(b"begin")
                disk.truncate(HOLE)
                disk.seek(HOLE - 3)
                disk.write(b"end")

        os.utime(Shelf("images", 9).get(key, build), (10**9 - age, 10**9 - age))
    return tmp_path / "cache"


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "elsewhere"))
    return tmp_path / "elsewhere" / "images"


def test_an_image_is_found_by_key_or_guest() -> None:
    """The one that was used last comes first; a name of none is refused with those that there are."""
    assert [(entry.key, entry.guest, entry.packages) for entry in stock.entries()] == [
        (KEY, "debian12", ["lvm2"]),
        (OTHER, "sid", ["lvm2"]),
    ]
    assert [entry.key for entry in stock.chosen(["sid", KEY, OTHER])] == [OTHER, KEY]
    with pytest.raises(UsageError, match="there is no image 'nosuch': the cache has images of 'debian12', 'sid'"):
        stock.chosen(["nosuch"])


def test_an_image_goes_to_another_host_and_is_the_same_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, and its holes stay holes; what is there already is not written again."""
    (entry,) = stock.chosen([KEY])
    stock.export(entry, tmp_path / "i.tar.gz")
    before = {path.name: path.read_bytes() for path in entry.image.path.iterdir()}
    there = elsewhere(monkeypatch, tmp_path)
    taken = stock.bring_in(tmp_path / "i.tar.gz")

    assert taken.key == KEY and taken.image.path == there / KEY
    assert {path.name: path.read_bytes() for path in taken.image.path.iterdir()} == before
    assert (taken.image.path / "root.img").stat().st_blocks * 512 < HOLE / 8
    inode = (taken.image.path / "vmlinuz").stat().st_ino
    assert (stock.bring_in(tmp_path / "i.tar.gz").image.path / "vmlinuz").stat().st_ino == inode


def spoilt(content: bytes, name: str, new: bytes) -> bytes:
    """The archive with another content of one file."""
    changed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as old,
        tarfile.open(fileobj=changed, mode="w:gz") as target,
    ):
        for member in old:
            data = old.extractfile(member)
            held = new if member.name == name else data.read() if data else b""
            member.size = len(held)
            target.addfile(member, io.BytesIO(held))
    return changed.getvalue()


def test_what_is_damaged_or_no_image_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was cut, changed, is of another kind or is not there: one sentence each, and an empty cache."""
    (entry,) = stock.chosen([KEY])
    stock.export(entry, tmp_path / "i.tar.gz")
    whole = (tmp_path / "i.tar.gz").read_bytes()
    there = elsewhere(monkeypatch, tmp_path)
    manifest = json.dumps({"form": 1, "key": "../../etc", "files": {}}).encode()
    bad = {
        "cut": (whole[: len(whole) // 2], "is damaged"),
        "changed": (spoilt(whole, "vmlinuz", b"another kernel"), "'vmlinuz' is not what was exported"),
        "key": (spoilt(whole, "manifest.json", manifest), "its list of files is not one of an image"),
        "later": (spoilt(whole, "manifest.json", b'{"form": 2}'), "of another version of crashinit"),
        "list": (spoilt(whole, "manifest.json", b"[1]"), "of another version of crashinit"),
        "text": (b"no archive", "is damaged"),
        "empty": (b"", "is damaged"),
    }
    for name, (content, said) in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=said):
            stock.bring_in(tmp_path / name)
    with pytest.raises(UsageError, match="does not exist"):
        stock.bring_in(tmp_path / "nowhere")
    assert [path for path in there.glob("*") if path.is_dir()] == []


def test_the_commands(tmp_path: Path) -> None:
    """List, export, rm, import: one line each, and exit code 4 with a sentence for what is not there."""
    listed = crashinit("image", "list").stdout
    assert f"{KEY}  debian12" in listed and "2 images; with all else that is kept 0.0 of 20.0 GB." in listed
    assert crashinit("image", "export", "sid", str(tmp_path / "i")).returncode == 0
    assert f"removed {OTHER} (sid)" in crashinit("image", "rm", "sid").stdout
    assert [entry.key for entry in stock.entries()] == [KEY]
    assert f"{OTHER} (sid) is in the cache" in crashinit("image", "import", str(tmp_path / "i")).stdout
    for wrong in (("rm", "nosuch"), ("export", "nosuch", "x"), ("import", "nosuch"), ("export", "sid", "/nosuch/x")):
        ended = crashinit("image", *wrong)
        assert (ended.returncode, ended.stdout) == (4, "") and "Traceback" not in ended.stderr
