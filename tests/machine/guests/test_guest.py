"""Guest files: what they may say, what is refused in one sentence, and what an image's key depends on."""

from pathlib import Path

import pytest
from crashinit.errors import UsageError
from crashinit.machine.guests import DEFAULT, Guest, load, names

GOOD = """
name = "mine"
title = "Mine"
suite = "trixie"
"""


def written(directory: Path, text: str = GOOD) -> Guest:
    """The guest that this file says."""
    path = directory / "mine.toml"
    path.write_text(text)
    return load(str(path))


def test_those_that_come_along() -> None:
    """Each is found by its name, which it also says itself; the default one is among them."""
    assert DEFAULT in names()
    assert {name: load(name).suite for name in names()} == {"debian12": "bookworm", "debian13": "trixie", "sid": "sid"}
    assert [load(name).name for name in names()] == names()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('sute = "x"', "unknown key 'sute': did you mean 'suite'?"),
        ('packages = ["-y"]', "'-y' is not the name of a Debian package"),
        ('cmdline = "a\\u0007"', "is not a word for the kernel's command line"),
        ('sysctl = { "a b" = 1 }', "'a b' is not the name of a sysctl"),
        ('mirror = "/dev/sda"', "'/dev/sda' is not the address of an archive"),
        ('sources = [{ uri = "http://a [trusted=yes]", suite = "b" }]', "is not the address of an archive"),
        ('sources = [{ uri = "http://a", suite = "b [x]" }]', "'b [x]' is not a suite or component"),
        ("memory = 4", "'memory' is 4, but must be at least 256"),
        ('kernel = { modules = "m" }', "'modules' belong to an 'image'"),
        ('directory = "/"', "'directory' is not a key of a guest file"),
        ("= 1", "not valid TOML"),
    ],
)
def test_what_is_refused(tmp_path: Path, line: str, said: str) -> None:
    """One sentence that names the file, the key, and what it must be: nothing else reaches a package manager."""
    with pytest.raises(UsageError) as error:
        written(tmp_path, GOOD + line)

    assert said in str(error.value)
    assert str(tmp_path / "mine.toml") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_guest_that_there_is_not(tmp_path: Path) -> None:
    """Its name is told with those that there are; a file's path as such; a missing kernel by its key."""
    with pytest.raises(UsageError, match="there is no guest 'debian14': known are debian12, debian13, sid, or give"):
        load("debian14")
    with pytest.raises(UsageError, match=r"the guest file '.*/none.toml' does not exist"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"'kernel.image' names the file '.*/bzImage', and there is none"):
        written(tmp_path, GOOD + 'kernel = { image = "bzImage" }').digest()


@pytest.mark.parametrize(
    ("line", "differs"),
    [
        ('packages = ["lvm2"]', True),
        ('kernel = { package = "linux-image-amd64" }', True),
        ('mirror = "http://archive.example.org/debian"', True),
        ('cmdline = "x=y"', False),
        ('sysctl = { "vm.swappiness" = 1 }', False),
        ("memory = 512", False),
    ],
)
def test_what_an_image_depends_on(tmp_path: Path, line: str, differs: bool) -> None:
    """All that goes into it, and nothing that only a boot needs: an image is built once for those."""
    before = written(tmp_path).digest()

    assert (written(tmp_path, GOOD + line).digest() != before) is differs


def test_a_kernel_of_ones_own_is_a_part_of_the_key(tmp_path: Path) -> None:
    """A kernel that was built anew makes another image, and so does a module."""
    modules = tmp_path / "6.9.0"
    modules.mkdir()
    (modules / "modules.dep").write_text("")
    (tmp_path / "bzImage").write_text("one")
    text = GOOD + 'kernel = { image = "bzImage", modules = "6.9.0" }'
    first = written(tmp_path, text).digest()
    (tmp_path / "bzImage").write_text("two")
    second = written(tmp_path, text).digest()
    (modules / "dm-thin-pool.ko").write_text("")

    assert len({first, second, written(tmp_path, text).digest()}) == 3


def test_what_the_kernel_is_told(tmp_path: Path) -> None:
    """The words of the file, then the sysctls, which the kernel sets before anything runs."""
    guest = written(tmp_path, GOOD + 'cmdline = " a=b  c "\nsysctl = { "vm.swappiness" = 1 }')

    assert guest.words() == "a=b c sysctl.vm.swappiness=1"


def test_where_packages_come_from(tmp_path: Path) -> None:
    """A stable suite has its updates beside it, backports the suite before them, and a further source its key."""
    (tmp_path / "key.asc").write_text("a key")
    where = 'uri = "https://example.org/apt", suite = "stable", components = ["a", "b"]'
    source = f'sources = [{{ {where}, key = "key.asc" }}]'
    guest = written(tmp_path, GOOD.replace("trixie", "bookworm-backports") + source)

    assert guest.base == "bookworm"
    assert guest.lines() == [
        "deb http://deb.debian.org/debian bookworm main",
        "deb http://deb.debian.org/debian bookworm-backports main",
        "deb http://deb.debian.org/debian bookworm-updates main",
        "deb http://security.debian.org/debian-security bookworm-security main",
        f"deb [signed-by={tmp_path / 'key.asc'}] https://example.org/apt stable a b",
    ]
    assert load("sid").lines() == ["deb http://deb.debian.org/debian sid main"]
