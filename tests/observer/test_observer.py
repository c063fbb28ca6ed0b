"""What changes storage is seen by the gate, and what the gate reports was done.

An init of a driver is run once under the gate and once under strace, each in a clone of its own, and the two accounts
are compared both ways. `make observer` does so for every driver that comes with the harness.
"""

import io
import re
import shlex
import tarfile
import time
from collections.abc import Iterator

import pytest
from crashinit.adapters import Adapter, load
from crashinit.adapters.driven import Driven
from crashinit.contract.said import succeeded
from crashinit.machine.protocol import Machine, Provider, Template
from crashinit.model.trial import Setup

from .compared import differences, of_gate
from .option import observed
from .straced import STRACE, Reader, Seen, moment

SETUP = Setup("fresh", (), 120.0)
WHERE = "/run/observed"
PATIENCE = 300.0  # seconds for an init under strace, which stops it at each call
# Starts a command under strace, in a session of its own, and waits until it has ended or says that it is ready: then
# strace ends, so that its files stay as they are.
FOLLOW = """
setsid {command} >{where}/output 2>&1 </dev/null & driver=$!
while kill -0 $driver 2>/dev/null && ! grep -Eq {ready} {where}/output; do sleep 0.1; done
kill -KILL $driver 2>/dev/null && {{ wait $driver; exit 0; }}
wait $driver
"""
NEVER = "$^"  # matches no line that is not empty, and of those none that grep is shown


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "adapter" in metafunc.fixturenames:
        metafunc.parametrize("adapter", [load(name) for name in observed(metafunc.config)], ids=lambda a: a.name)


@pytest.fixture
def template(provider: Provider, adapter: Adapter) -> Iterator[Template]:
    """A machine with the driver, that has never run; strace is in each."""
    with provider.template(adapter.install.packages) as base, base.derive(adapter.installed) as template:
        yield template


def test_gate_and_strace_see_the_same(template: Template, adapter: Adapter) -> None:
    """Every call of an init that changed storage is an operation, and every operation is a call that was made."""
    with template.clone() as machine:
        run = Driven(machine, adapter, SETUP).init()
    with template.clone() as machine:
        seen = under_strace(machine, adapter)

    assert succeeded(run), run.stderr
    found = differences(of_gate(run.operations), seen)
    assert found == [], "\n".join(found)
    assert sum(seen.done.values()) > 40  # they did look


def under_strace(machine: Machine, adapter: Adapter) -> Seen:
    """What strace sees of an init, up to the daemon's word that it is ready."""
    for words in adapter.before:
        machine.run(*adapter.command(words, SETUP.options), timeout=SETUP.deadline).check()
    machine.run("mkdir", WHERE).check()
    links = machine.run("find", "/", "-maxdepth", "2", "-xdev", "-type", "l", "-printf", "%p %l\n").stdout.split("\n")
    existing = machine.run("find", adapter.root).stdout.split("\n")  # nothing, and a complaint, if there is no root
    command = [*STRACE, f"{WHERE}/thread", *adapter.command(adapter.init, SETUP.options)]
    ready = adapter.ready.log if adapter.ready else ""
    script = FOLLOW.format(command=shlex.join(command), where=WHERE, ready=shlex.quote(ready or NEVER))
    now = str(int(time.time()))
    # The same time for e2fsprogs all along, as under the gate: it writes what has changed.
    machine.run("sh", "-c", script, timeout=PATIENCE, env={"E2FSPROGS_FAKE_TIME": now}).check()
    files = threads(machine)
    reader = Reader(adapter.root, dict(filter(None, map(directory_link, links))), set(existing))
    return reader.read(files, moment(files, re.compile(ready)) if ready else float("inf"))


def threads(machine: Machine) -> dict[int, str]:
    """strace's files by thread id."""
    machine.run("tar", "--create", "--gzip", f"--file={WHERE}.tar.gz", f"--directory={WHERE}", ".").check()
    with tarfile.open(fileobj=io.BytesIO(machine.get(f"{WHERE}.tar.gz"))) as archive:
        found = {name: archive.extractfile(name) for name in archive.getnames() if "/thread." in name}
        return {int(name.rpartition(".")[2]): file.read().decode() for name, file in found.items() if file}


def directory_link(line: str) -> tuple[str, str] | None:
    """A link at or next to the top of the file tree, and where it leads: ('/bin', '/usr/bin')."""
    path, _, target = line.partition(" ")
    if not target:
        return None
    return path, target if target.startswith("/") else f"{path.rpartition('/')[0]}/{target}"
