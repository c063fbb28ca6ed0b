"""Machines that are states of one VM under Vagrant. The VM takes a minute: CRASHINIT_TEST_VAGRANT asks for it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashinit.adapters import load
from crashinit.campaign.result import result_of
from crashinit.errors import GuestError, HostError, MachineError
from crashinit.faults import planned
from crashinit.machine.protocol import Machine, Provider, Template
from crashinit.machine.provider import get_provider
from crashinit.machine.vagrant import vagrant
from crashinit.model.events import TrialResult
from crashinit.scenario.plan import setup_of
from crashinit.scenario.scenario import Scenario
from crashinit.trial.runner import TrialRunner

with_vm = [
    pytest.mark.skipif("CRASHINIT_TEST_VAGRANT" not in os.environ, reason="'.ci/run' and 'make vagrant' run it"),
    pytest.mark.xdist_group("vagrant"),
    pytest.mark.turn(2),
]


# What QEMU's own tests ask of machines as well: 'make vagrant' asks it of a VM under Vagrant.
in_full = pytest.mark.skipif(os.environ.get("CRASHINIT_TEST_VAGRANT") != "all", reason="'make vagrant' runs it")


@pytest.fixture(scope="session")
def vm_template() -> Iterator[Template]:
    """The base template of a provider that is closed at the end."""
    vms = get_provider("vagrant")
    try:
        with vms.template() as template:
            yield template
    finally:
        vms.close()


def test_missing_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Vagrant the provider says in one sentence what is missing and what installs it."""
    monkeypatch.setattr(vagrant, "TOOLS", {"libvirt": ("no-such-vagrant", "sh")})
    with pytest.raises(HostError) as raised:
        get_provider("vagrant")

    told = "the provider 'vagrant' needs 'no-such-vagrant', not installed here: run './tools/vagrant-packages.sh'"
    assert str(raised.value) == told


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="vagrant is not installed")
def test_vagrantfile_is_valid(tmp_path: Path) -> None:
    """Vagrant takes the Vagrantfile, with settings from the environment, and knows nothing of a VM yet."""
    settings = {
        "CRASHINIT_VAGRANT_MEMORY": "768", "CRASHINIT_VAGRANT_ACCEL": "tcg", "CRASHINIT_VAGRANT_CONSOLE": "/dev/null",
        "VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_DOTFILE_PATH": str(tmp_path / "dot"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
    }  # fmt: skip
    root = Path(__file__).parents[3]
    argv = ["vagrant", "validate", "--ignore-provider"]
    done = subprocess.run(argv, cwd=root, env={**os.environ, **settings}, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "validated successfully" in done.stdout


class OneVm:
    """A provider whose one VM is there already."""

    name = "vagrant"
    forks = True
    repeats = False
    seed: str | None = None
    guest = "debian12"
    accel = "tcg"

    def __init__(self, template: Template) -> None:
        self._template = template

    def plugging(self) -> None:
        return None

    def template(self, packages: tuple[str, ...] = ()) -> Template:
        return self._template

    def close(self) -> None:
        """The VM is the fixture's."""


def judged(provider: Provider) -> dict[str, TrialResult]:
    """The trials of one scenario under that provider, each judged against that provider's own reference."""
    adapter = load("reference")
    scenario = Scenario(title="The base is about to be made.", name="cross-check", at=("exec mkfs.ext4#1",))
    setup = setup_of(scenario)
    with TrialRunner(provider, adapter) as runner:
        reference, _ = runner.reference(setup)
        trials = planned.trials(scenario, reference.fault_run, "reference", adapter.kind)
        return {trial.id: result_of(trial, *runner.run(trial), reference, adapter) for trial in trials}


class TestVm:
    """What machine/protocol.py promises, in a VM."""

    pytestmark = with_vm

    def test_run(self, vm_template: Template) -> None:
        """A command runs as root in a kernel of the VM's own, with its input, environment, output and exit status."""
        with vm_template.clone() as machine:
            done = machine.run("sh", "-c", 'cat; id -u; echo "$WORD" >&2; exit 3', input=b"in\n", env={"WORD": "err"})
            kernel = machine.run("uname", "-r").stdout.strip()

        assert (done.exit, done.stdout, done.stderr, done.timed_out) == (3, "in\n0\n", "err\n", False)
        assert kernel != os.uname().release

    def test_put_get(self, vm_template: Template) -> None:
        """Files go in and out byte for byte, larger than any pipe on the way; what cannot be read is a GuestError."""
        data = os.urandom(1_000_000)
        with vm_template.clone() as machine:
            machine.put(data, "/root/deep/file", 0o750)

            assert machine.get("/root/deep/file") == data
            with pytest.raises(GuestError, match="/no/such"):
                machine.get("/no/such")

    @in_full
    def test_fork(self, vm_template: Template) -> None:
        """A fork holds memory, processes and disk of its moment; machine and fork take turns and do not mix."""
        begin = "sleep 1000 >/dev/null 2>&1 & echo $! > /run/pid; echo then > /run/memory; echo then > /root/disk"
        with vm_template.clone(forkable=True) as machine:
            machine.run("sh", "-c", begin).check()
            with machine.fork() as fork:
                machine.run("sh", "-c", "kill $(cat /run/pid); echo later > /run/memory; echo later > /root/disk")
                with fork.clone() as one:
                    one.run("sh", "-c", "kill -0 $(cat /run/pid)").check()
                    then = one.run("cat", "/run/memory", "/root/disk").stdout
                    one.run("sh", "-c", "echo mine > /run/memory; echo mine > /root/disk; sync").check()
                    later = machine.run("cat", "/run/memory", "/root/disk").stdout
                    mine = one.run("cat", "/run/memory", "/root/disk").stdout

        assert (then, later, mine) == ("then\nthen\n", "later\nlater\n", "mine\nmine\n")

    @in_full
    def test_clones_begin_anew(self, vm_template: Template) -> None:
        """What one clone does no later one sees; each has random numbers and a clock of its own."""
        uuids, clocks = [], []
        for _ in range(2):
            with vm_template.clone() as machine:
                assert machine.run("test", "-e", "/root/mark").exit == 1
                machine.run("sh", "-c", "touch /root/mark; sync").check()
                uuids.append(machine.get("/proc/sys/kernel/random/uuid"))
                clocks.append(float(machine.run("date", "+%s.%N").stdout))

        assert uuids[0] != uuids[1]
        assert clocks[0] < clocks[1]

    @in_full
    def test_power_cut(self, vm_template: Template) -> None:
        """A power cut keeps what was synced, loses what was not, and all memory; the machine is usable again."""
        with vm_template.clone() as machine:
            machine.run("sh", "-c", "echo kept > /root/synced; sync; echo lost > /root/unsynced").check()
            before = machine.get("/proc/sys/kernel/random/boot_id")
            machine.power_cut()

            assert machine.get("/proc/sys/kernel/random/boot_id") != before
            assert machine.get("/root/synced") == b"kept\n"
            assert "lost" not in machine.run("cat", "/root/unsynced").stdout
            assert "Linux version" in machine.console()

    def test_trials_agree(self, vm_template: Template, provider: Provider) -> None:
        """A trial has the outcome, the restarts and the verdict of each clause that it has under QEMU."""
        with vm_template.clone() as machine:
            here = judged(OneVm(machine.fork()))
        there = judged(provider)

        assert here.keys() == there.keys()
        for name, result in here.items():
            assert result.outcome == "converged"
            assert (result.outcome, result.restarts, result.clauses) == (
                there[name].outcome, there[name].restarts, there[name].clauses,
            )  # fmt: skip

    def test_closed(self, vm_template: Template) -> None:
        """Closing twice does nothing; a closed machine says that it is closed."""
        machine: Machine = vm_template.clone()
        machine.close()
        machine.close()

        with pytest.raises(MachineError, match="closed"):
            machine.run("true")
        with pytest.raises(MachineError, match="closed"):
            machine.console()
