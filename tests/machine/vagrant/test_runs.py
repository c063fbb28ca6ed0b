"""Whole runs under Vagrant as people start them. They take minutes: CRASHINIT_TEST_VAGRANT=all asks for them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from crashinit.machine.cache import cache_dir
from crashinit.machine.vagrant import libvirtd
from crashinit.machine.vagrant.box import BOX_PACKAGES, BoxRecipe

ROOT = Path(__file__).parents[3]
CRASHINIT = str(Path(sys.executable).with_name("crashinit"))

in_full = [
    pytest.mark.skipif(os.environ.get("CRASHINIT_TEST_VAGRANT") != "all", reason="'make vagrant' runs it"),
    pytest.mark.xdist_group("vagrant"),
]

# Starts a run, sends what a terminal's Ctrl-C sends as soon as it has printed some words, and prints how it ended and
# what it left behind.
INTERRUPTED = """
import os
import signal
import subprocess
import sys


def left():
    return set(subprocess.check_output(["./tools/vagrant-left.sh"], text=True).splitlines())


os.environ["CRASHINIT_CACHE"], words, *command = sys.argv[1:]
before = left()
# A shell lets what it starts in the background ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0) as run:
    seen = ""
    for line in run.stdout:
        seen += line
        if words in line:
            break
    else:
        sys.exit(f"it never said '{words}': {seen}")
    os.killpg(run.pid, signal.SIGINT)
    seen += run.stdout.read()
print(seen, file=sys.stderr)
print(run.returncode, *sorted(left() - before), sep="\\n")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a program")
def test_without_vagrant(tmp_path: Path) -> None:
    """Without Vagrant, '--provider vagrant' is one sentence that says what to install, and nothing is made."""
    out = tmp_path / "out"
    hide = "for f in /usr/bin/vagrant /usr/local/bin/vagrant; do [ ! -e $f ] || mount --bind /dev/null $f; done"
    run = [CRASHINIT, "run", "scenarios/steps", "--driver", "reference", "--provider", "vagrant", "--out", str(out)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{hide}; exec "$@"', "sh", *run],
        cwd=ROOT, env={**os.environ, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    [told] = done.stderr.splitlines()
    assert done.returncode == 3
    assert told.startswith("crashinit: error: the provider 'vagrant' needs 'vagrant'")
    assert told.endswith("not installed here: run './tools/vagrant-packages.sh'")


@pytest.mark.parametrize("whose", ["private", "host"])
class TestInterrupted:
    """Ctrl-C in the middle of the trials, beside either kind of libvirtd."""

    pytestmark = in_full

    def test_nothing_is_left(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
        """The run ends with the exit code for that, and leaves no process, namespace, network, mount, file, domain."""
        scene = [sys.executable, "-c", INTERRUPTED, str(cache_dir()), "5 of 10 trials"]
        if whose == "host":  # a private daemon plays the host's; it is none of this cache's runs
            monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "cache"))
            scene = [sys.executable, "-m", libvirtd.__name__, *scene]
        run = [CRASHINIT, "run", "scenarios/steps", "--driver", "reference", "--provider", "vagrant", "-n", "2"]
        done = subprocess.run(
            [*scene, *run, "-k", "before", "--out", str(tmp_path / "out")],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert done.stdout.splitlines() == ["2"], done.stdout + done.stderr


class TestOtherBox:
    """A Debian box of another maker, that is: without our packages, from which apt-get installs them."""

    pytestmark = in_full

    def test_provisioned(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The provisioner makes it a machine like ours: driver and guest tools run in it, and trials converge."""
        where = tmp_path / "box"
        where.mkdir()
        BareRecipe(where, tuple(sorted({*BOX_PACKAGES} - LACKING))).build()
        monkeypatch.setenv("VAGRANT_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("VAGRANT_CHECKPOINT_DISABLE", "1")
        add = ["vagrant", "box", "add", "--name", "somebody/debian", str(where / "crashinit.box")]
        subprocess.run(add, cwd=tmp_path, check=True, capture_output=True)
        monkeypatch.setenv("CRASHINIT_VAGRANT_BOX", "somebody/debian")
        out = tmp_path / "out"
        common = ["--driver", "reference", "--provider", "vagrant", "-k", "mkfs and before and tree"]
        run = [CRASHINIT, "run", "scenarios/steps", *common, "--out", str(out)]
        done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads((out / "summary.json").read_text())["converged"] == 1


LACKING = {"procps", "python3-pyudev", "thin-provisioning-tools", "xfsprogs"}
# The distribution's servers, for a machine that reaches none: what apt-get would fetch lies in the box's own tree.
ARCHIVE = f"""set -eu
apt-get install -y --no-install-recommends --download-only {" ".join(sorted(LACKING))}
mkdir "$1/srv/packages"
mv "$1"/var/cache/apt/archives/*.deb "$1/srv/packages"
cd "$1/srv/packages"
for file in *.deb; do
    dpkg-deb -f "$file"
    echo "Filename: ./$file"
    echo "Size: $(stat -c %s "$file")"
    echo "SHA256: $(sha256sum <"$file" | cut -c-64)"
    echo
done >Packages
"""
SOURCE = "deb [trusted=yes] file:/srv/packages ./\n"


class BareRecipe(BoxRecipe):
    """Our box without some packages, which its apt-get finds in a directory."""

    def _run(self, *argv: str) -> str:
        if "mmdebstrap" in argv:
            hook = f'--customize-hook=APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"; export APT_CONFIG; {ARCHIVE}'
            suite = argv.index(self.guest.base)
            argv = (*argv[:suite], hook, *argv[suite:])
        return super()._run(*argv)

    def _kernel(self) -> None:
        shutil.rmtree(self.tree / "etc/apt/sources.list.d", ignore_errors=True)
        (self.tree / "etc/apt/sources.list").write_text(SOURCE)
        assert not [tool for tool in ("thin_check", "mkfs.xfs") if (self.tree / "usr/sbin" / tool).exists()]
        super()._kernel()
