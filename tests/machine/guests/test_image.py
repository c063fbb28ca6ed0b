"""The guest image: what goes wrong while it is built, and what is in it."""

import os
import select
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crashinit.errors import HostError
from crashinit.machine.cache import Shelf
from crashinit.machine.guests import image as image_module
from crashinit.machine.guests import load
from crashinit.machine.guests.image import Recipe, as_root, explain, image

from ...processes import words


def test_interrupted_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build whose process is killed leaves no package manager at work, and the next build begins anew."""
    build = "from crashinit.machine.guests.image import image; image(note=lambda text: print(text, flush=True))"
    env = {**os.environ, "CRASHINIT_CACHE": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", build], env=env, stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None
        assert "building the image of Debian 12" in builder.stdout.readline()
        tree = tmp_path / "images"
        while not list(tree.glob("*.tmp/tree/var/lib/dpkg")):  # the work is under way
            assert builder.poll() is None
        builder.send_signal(signal.SIGKILL)
    workers = [pid for pid in _pids() if _names(pid, tmp_path)]
    for pid in workers:
        _await_end(pid)

    assert [path for path in tree.glob("*") if path.is_dir() and path.suffix != ".tmp"] == []
    assert [pid for pid in _pids() if _names(pid, tmp_path)] == []
    (rubble,) = tree.glob("*.tmp")
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path))
    entry = Shelf("images", 4).get(rubble.stem, lambda where: (where / "root.img").touch())
    assert [path.name for path in entry.iterdir()] == ["root.img"]


def test_missing_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing tool is one sentence with the command that installs it."""
    monkeypatch.setitem(image_module.TOOLS, "no-such-tool", "no-such-package")
    with pytest.raises(HostError, match="run 'apt-get install --no-install-recommends no-such-package'"):
        Recipe(tmp_path, ()).check()


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache on a disk that is too small is told before a build is said to begin, and nothing is left there."""
    said: list[str] = []
    mounted = tmp_path / "small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mounted)], check=True)
    try:
        monkeypatch.setenv("CRASHINIT_CACHE", str(mounted))
        with pytest.raises(HostError, match=r"has 8 MB free and \d+ MB are needed"):
            image(note=said.append)
        assert said == []
        assert [path.name for path in (mounted / "images").iterdir() if path.is_dir()] == []
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_the_command_for_root_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names this very program, this cache and the packages beyond the standard ones, in a form for a shell."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "my cache"))

    assert shlex.split(as_root(("lvm2", "udev"))) == [
        *("sudo", "env", f"CRASHINIT_CACHE={tmp_path / 'my cache'}", sys.executable, "-m", "crashinit.cli"),
        *("image", "build", "lvm2"),
    ]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("I: x\ndpkg: cannot copy: No space left on device", "the disk of '/cache' is full"),
        ("E: Failed to fetch a  Could not connect\nE: mmdebstrap failed to run", "check the network and the proxy"),
        ("", "'mmdebstrap' ended with 25 while it built the guest image: it said nothing"),
    ],
)
def test_explain(said: str, sentence: str) -> None:
    """What a tool said in many lines becomes one."""
    told = explain(("unshare", "mmdebstrap"), 25, said, Path("/cache/key.tmp"), load("debian12"))

    assert sentence in told
    assert "\n" not in told


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _names(pid: int, path: Path) -> bool:
    return str(path).encode() in b" ".join(words(pid))


def _await_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(30_000), f"process {pid} still runs"
    finally:
        os.close(descriptor)
