"""Guests as machines: what their files say is in force there, and what does not do is told in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
from crashinit.errors import MachineError, UsageError
from crashinit.machine.guests import DEFAULT, load, names
from crashinit.machine.guests.image import PACKAGES, cached, image, release
from crashinit.machine.provider import QemuProvider, get_provider


@pytest.fixture
def guest(tmp_path: Path) -> Callable[[str], str]:
    """The default guest with further lines, whose image is that of the default one."""

    def make(lines: str) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(f'name = "{DEFAULT}"\ntitle = "x"\nsuite = "{load(DEFAULT).suite}"\n{lines}\n')
        return str(path)

    return make


def test_memory_command_line_and_sysctls(guest: Callable[[str], str]) -> None:
    """They are as the file says, and the machine tells which kernel it runs."""
    mine = guest('memory = 320\ncmdline = "crashinit.word=1"\nsysctl = { "vm.dirty_ratio" = 17 }')
    with QemuProvider(guest=mine).boot() as machine:
        words = machine.get("/proc/cmdline").decode().split()
        total = int(machine.get("/proc/meminfo").split()[1]) // 1024

        assert "crashinit.word=1" in words
        assert machine.get("/proc/sys/vm/dirty_ratio").strip() == b"17"
        assert 250 < total < 320
        assert machine.kernel == machine.run("uname", "-r").stdout.strip() == image().facts["kernel"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            'cmdline = "rdinit=/none root=/dev/none"',
            "does not boot: the machine did not answer 'hello'",
        ),
        ('cmdline = "module_blacklist=dm_thin_pool"', "has no dm-thin (CONFIG_DM_THIN_PROVISIONING)"),
        ('sysctl = { "vm.none" = 1 }', "sets the sysctl 'vm.none' to '1', but its kernel has none of that name"),
    ],
)
def test_what_does_not_do(guest: Callable[[str], str], lines: str, said: str) -> None:
    """A guest that does not boot, one without dm-thin, and one without a sysctl: each is one sentence, at once."""
    with pytest.raises((MachineError, UsageError)) as error:
        QemuProvider(guest=guest(lines)).boot()

    assert said in str(error.value)
    assert f"guest '{DEFAULT}'" in str(error.value)
    assert len(str(error.value)) < 250
    assert "Call Trace" not in str(error.value)


def test_a_suite_that_there_is_not(guest: Callable[[str], str], tmp_path: Path) -> None:
    """It is told with the archive that has none of that name."""
    path = Path(guest(""))
    path.write_text(path.read_text().replace("bookworm", "bookwurm"))
    with pytest.raises(
        UsageError, match=r"there is no suite 'bookwurm' at 'http://deb.debian.org/debian': correct 'suite'"
    ):
        image(guest=load(str(path)))


def test_a_kernel_that_is_none(tmp_path: Path) -> None:
    """A vmlinux, say, in the place of a bzImage."""
    (tmp_path / "vmlinux").write_bytes(b"\x7fELF" + bytes(4096))
    with pytest.raises(UsageError, match="is no kernel: 'image' must be a bzImage"):
        release(tmp_path / "vmlinux")


@pytest.mark.parametrize("name", [name for name in names() if name != DEFAULT])
@pytest.mark.parametrize("provider", ["qemu-real", "qemu-virtual"])
def test_the_others_that_come_along(name: str, provider: str, pytestconfig: pytest.Config) -> None:
    """Each is up, in real time and in virtual time, on its own kernel; one whose image is not there only if asked."""
    if cached(load(name)) is None and not pytestconfig.getoption("--all-guests"):
        pytest.skip(f"its image is not in the cache: 'crashinit image build --guest {name}', or '--all-guests' here")
    with get_provider(f"{provider}@{name}").template() as template, template.clone() as machine:
        assert "thin-pool" in machine.run("dmsetup", "targets").check().stdout
        assert machine.kernel == image(guest=load(name)).facts["kernel"]
        assert set(PACKAGES) <= set(image(guest=load(name)).facts["packages"])
