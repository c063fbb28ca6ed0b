"""Files of a run: whole or not there, and read with care."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crashinit.errors import HostError, UsageError
from crashinit.files import safe

from ..toys import environment


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """A writer that is killed in the middle leaves the file as it was; the rest is swept away by the next owner."""
    path = tmp_path / "plan.json"
    safe.write_text(path, "old")
    program = (
        "import os, signal, sys; from pathlib import Path; from crashinit.files import safe\n"
        "with safe.replacing(Path(sys.argv[1])) as file:\n"
        "    file.write(b'new'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, path], env=environment())

    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    safe.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Half a text never takes the place of a whole one, and leaves no file of its own."""
    path = tmp_path / "plan.json"
    safe.write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), safe.replacing(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_is_one_sentence() -> None:
    """/dev/full takes no byte; the sentence says where and what to do."""
    expected = pytest.raises(HostError, match="'/run': No space left on device: free some space")
    with expected, safe.disk_errors(Path("/run")), Path("/dev/full").open("w") as file:
        file.write("x")


def test_what_is_no_character_can_be_written(tmp_path: Path) -> None:
    """Part of a name that is not UTF-8 comes as half a surrogate pair, and ends no run."""
    safe.write_text(tmp_path / "a", os.fsdecode(b"a\xe9"))

    assert (tmp_path / "a").read_text() == "a\\udce9"


def test_a_file_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    """A few bytes that become very many when they are inflated are read up to a bound, which is said."""
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(3 * safe.MIB)))
    (tmp_path / "long").write_bytes(bytes(3 * safe.MIB))

    with pytest.raises(UsageError, match="holds more than 2 MiB when it is inflated"):
        safe.inflated(tmp_path / "bomb.gz", 2 * safe.MIB)
    with pytest.raises(UsageError, match="holds more than 2 MiB"):
        safe.text(tmp_path / "long", 2 * safe.MIB)
    assert len(safe.inflated(tmp_path / "bomb.gz", 3 * safe.MIB)) == 3 * safe.MIB


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "[" * 100_000, "{", ""])
def test_json_is_json(text: str) -> None:
    """What its standard does not know, or nobody needs, is a ValueError and nothing else."""
    with pytest.raises(ValueError, match=r"\w"):
        safe.parsed(text)
