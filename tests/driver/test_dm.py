"""thindriver.dm in a machine: the kernel's answers, however long they are."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from crashinit.adapters import load
from crashinit.machine.protocol import Machine, Provider

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
