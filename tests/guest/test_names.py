"""Small files, as the guest reads them in /proc and /sys."""

from pathlib import Path

import pytest
from crashinit.guest.names import READ, read_bytes, read_text


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    """Also one that takes several reads."""
    (tmp_path / "large").write_bytes(b"x" * (2 * READ + 1))

    assert read_bytes(tmp_path / "large") == b"x" * (2 * READ + 1)


@pytest.mark.parametrize("limit", [0, 3, READ, READ + 1])
def test_no_more_is_read_than_the_limit(tmp_path: Path, limit: int) -> None:
    """The machine keeps no more of a file than it was asked for."""
    (tmp_path / "large").write_bytes(b"x" * (2 * READ))

    assert read_bytes(tmp_path / "large", limit) == b"x" * limit


def test_what_the_kernel_makes_is_read() -> None:
    """Its files have no size, and some give a page at a time."""
    assert read_bytes("/proc/self/mountinfo") == Path("/proc/self/mountinfo").read_bytes()
    assert read_text("/proc/self/comm") == Path("/proc/self/comm").read_text().strip()


def test_a_text_that_cannot_be_read_is_empty(tmp_path: Path) -> None:
    """A process or a device goes while it is looked at."""
    assert read_text(tmp_path / "gone") == ""
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "gone")


def test_a_text_has_no_line_end_and_any_bytes(tmp_path: Path) -> None:
    """What is no UTF-8 is replaced."""
    (tmp_path / "text").write_bytes(b"name\xff\n")

    assert read_text(str(tmp_path / "text")) == "name\N{REPLACEMENT CHARACTER}"
