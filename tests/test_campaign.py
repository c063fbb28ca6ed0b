"""The campaign: what a plan strikes, and what it leaves out."""

from pathlib import Path

import pytest
from crashinit import campaign, scenario
from crashinit.errors import DriverError
from crashinit.kept import Prepared

DAEMON = """
name = "d"
title = "a daemon that keeps nothing"
root = "/var/lib/d"
init = ["sh", "-c", "mkdir -p {root}; echo up; exec sleep 1000"]
ready = { log = "up" }
"""
ABSENT = DAEMON + '[absent]\npool-create = "it has no pool"\n'


def prepared(directory: Path, adapter: str, step: str) -> Prepared:
    path = directory / "d.toml"
    path.write_text(adapter)
    strike = scenario.from_options({"title": "t", "name": f"steps/{step}", "step": step}, {})
    return campaign.prepare([strike], str(path), "qemu", directory / "run", lambda event: None)


def test_a_step_that_the_adapter_declares_absent_is_left_out_with_its_reason(tmp_path: Path) -> None:
    """It is no trial that could not strike: what a driver does not have cannot be struck."""
    found = prepared(tmp_path, ABSENT, "pool-create")

    assert found.trials == []
    assert found.left_out == ["steps/pool-create: no step 'pool-create': it has no pool"]


def test_a_step_that_is_missing_without_a_reason_is_struck_all_the_same(tmp_path: Path) -> None:
    """Its trials will not fire, which is never a pass."""
    found = prepared(tmp_path, DAEMON, "pool-create")

    assert {trial.point.n for trial in found.trials} == {0}
    assert len(found.trials) == 6


def test_a_step_that_occurs_is_struck_whatever_the_adapter_says(tmp_path: Path) -> None:
    """A reason for what is not there takes nothing away from what is."""
    found = prepared(tmp_path, ABSENT.replace("pool-create", "loopback"), "loopback")

    assert found.trials[0].point.operation == "exec mkdir#1"


def test_a_driver_that_fails_without_a_fault_is_not_tried_further(tmp_path: Path) -> None:
    """A daemon that ends before it is ready has failed, whatever its exit status."""
    with pytest.raises(DriverError, match=r"without any fault, 'sh -c .*' ended with 1"):
        prepared(tmp_path, DAEMON.replace("exec sleep 1000", "exit 0").replace('"up"', '"never"'), "loopback")
