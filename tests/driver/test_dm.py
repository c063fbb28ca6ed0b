"""thindriver.dm in a machine: the kernel's answers, however long they are."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crashinit.adapters import load
from crashinit.machine.protocol import Machine, Provider
from thindriver import dm
from thindriver.errors import DriverError

# 300 devices with names as long as layers have: 35 KB. A table of 600 lines: 34 KB.
MANY = """
from thindriver import dm
for n in range(300):
    dm._call(dm.DM_DEV_CREATE, f"docker-254:0-1-{n:0>70}")
print(json.dumps(dm.names("docker-254:0-1-")))
"""
LONG = """
from thindriver import dm
print(json.dumps([[target.start, target.kind] for target in dm.table("long")]))
"""
NONE = """
from thindriver import dm
from thindriver.errors import DriverError
try:
    dm.existing("none")
except DriverError as error:
    print(json.dumps([dm.info("none"), str(error)]))
"""
FOREIGN = """
from thindriver import dm
print(json.dumps([dm.names("")]))
"""


@pytest.fixture
def machine(provider: Provider) -> Iterator[Machine]:
    """A machine with thindriver."""
    adapter = load("reference")
    with provider.template(adapter.install.packages) as template, template.clone() as machine:
        adapter.installed(machine)
        yield machine


def answer(machine: Machine, script: str) -> Any:
    """What a Python script in the machine prints."""
    return json.loads(machine.run("python3", "-c", f"import json\n{script}").check().stdout)


def test_any_number_of_devices_is_listed(machine: Machine) -> None:
    """With more active layers than fit into the first answer, each of them is found."""
    assert answer(machine, MANY) == [f"docker-254:0-1-{n:0>70}" for n in range(300)]


def test_a_table_of_any_length_is_read(machine: Machine) -> None:
    """A device of somebody else's that bears our name may have any table: all of it is read."""
    lines = "".join(f"{8 * n} 8 zero\n" for n in range(600)).encode()
    machine.run("dmsetup", "create", "long", input=lines).check()

    assert answer(machine, LONG) == [[8 * n, "zero"] for n in range(600)]


def test_devices_of_others_may_have_any_name(machine: Machine) -> None:
    """Also one that is no UTF-8: the list is read, and the driver goes on."""
    script = r"dmsetup --manglename none create $'d\351' --table '0 8 zero'"
    machine.run("bash", "-ec", script).check()

    assert answer(machine, FOREIGN) == [["d\udce9"]]


def test_a_device_that_has_to_be_there_is_missed_in_the_kernels_words(machine: Machine) -> None:
    """Where there may be none, none is an answer; where there must be one, its lack is told with the kernel's cause."""
    assert answer(machine, NONE) == [None, "cannot look up the device 'none': No such device or address"]


def test_a_control_node_that_leads_nowhere_is_not_a_missing_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a node without a driver is the one that a missing device has; it is told as what it is.

    open(2): ENXIO, also for a socket's file, which stands here for such a node.
    """
    node = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(node))
        monkeypatch.setattr(dm, "CONTROL", str(node))
        dm._control.cache_clear()

        with pytest.raises(DriverError, match=f"cannot look up the device 'x': '{node}': No such device or address"):
            dm.info("x")
