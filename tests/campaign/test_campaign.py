"""The campaign: what a plan strikes, and what it leaves out."""

from pathlib import Path

import pytest
from crashinit import adapters, cli
from crashinit.campaign import planning
from crashinit.errors import DriverError, GuestError
from crashinit.model.trial import Setup
from crashinit.run.kept import Prepared, stored
from crashinit.scenario import scenario
from crashinit.trial.reference import refuse_unsound

from ..contract import builder
from ..toys import NO_POOL, STRIKE, shell_driver

DAEMON = """
name = "d"
title = "a daemon that keeps nothing"
root = "/var/lib/d"
init = ["sh", "-c", "mkdir -p {root}; exec python3 -c \\"$0\\"", "LIVE"]
ready = { log = "up" }
""".replace(
    "LIVE", "import signal, sys; signal.signal(15, lambda *_: sys.exit()); print('up', flush=True); signal.pause()"
)
ABSENT = DAEMON + '[absent]\npool-create = "it has no pool"\n'


def prepared(directory: Path, adapter: str, step: str, exempt: str = NO_POOL) -> Prepared:
    path = directory / "d.toml"
    path.write_text(adapter + exempt)
    strike = scenario.from_options({"title": "t", "name": f"steps/{step}", "step": step}, {})
    return planning.prepare([strike], str(path), "qemu", directory / "run", lambda event: None)


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
    with pytest.raises(DriverError, match=r"without any fault, 'sh -c .*' ended with exit status 0 before it"):
        prepared(tmp_path, DAEMON.replace("signal.pause()", "").replace('"up"', '"never"'), "loopback")


@pytest.mark.parametrize(
    ("create", "shutdown", "said"),
    [
        ("echo no room >&2; exit 5", "true", "the root cannot be populated: .* ended with 5 in the machine: no room"),
        ("true", "echo still busy >&2; exit 6", "the shutdown ended with exit status 6.*still busy"),
    ],
)
def test_a_used_root_that_cannot_be_made_is_one_sentence(tmp_path: Path, create: str, shutdown: str, said: str) -> None:
    """Without any fault it is the driver that fails, while data is put in or when it is shut down after that."""
    populate = f"""
[populate]
create = ["sh", "-c", "{create}"]
mount = ["echo", "/var/lib/shell"]
unmount = ["true"]
"""
    adapter = shell_driver("true").replace('shutdown = ["true"]', f'shutdown = ["sh", "-c", "{shutdown}"]') + populate
    (tmp_path / "d.toml").write_text(adapter)
    strike = scenario.from_options({"title": "t", "name": "used", "given": "populated", "step": "all"}, {})

    with pytest.raises(DriverError, match=f"(?s)^without any fault, {said}"):
        planning.prepare([strike], str(tmp_path / "d.toml"), "qemu", tmp_path / "run", lambda event: None)


def test_a_driver_that_breaks_the_contract_without_a_fault_is_not_tried_further(tmp_path: Path) -> None:
    """Each of its trials would diverge, whatever the fault did: one sentence names the clause, and what to do."""
    said = (
        r"without any fault, on a root 'fresh', the driver breaks C02 one-pool: there is no pool .*\[not_applicable\]"
    )
    with pytest.raises(DriverError, match=said):
        prepared(tmp_path, DAEMON, "loopback", exempt="")


def test_an_init_without_faults_that_was_not_seen_whole_is_no_reference() -> None:
    """Every trial would be held against what the harness itself missed: that is its error, and not the driver's."""
    evidence = builder.evidence()
    down = evidence.after_shutdown
    assert down is not None
    setup = Setup("fresh", (), 60.0)
    sizes = ("dm.loopdatasize=256M", "dm.loopmetadatasize=16M", "dm.basesize=64M")
    adapter = adapters.load("reference").model_copy(update={"options": sizes})
    refuse_unsound(evidence, adapter, setup)
    missed = evidence.model_copy(update={"after_shutdown": builder.replace(down, unseen=["the kernel's log is lost"])})
    with pytest.raises(GuestError, match="the kernel's log is lost"):
        refuse_unsound(missed, adapter, setup)


SHELL = shell_driver("echo $2 > {root}/NAME")
NAMED = STRIKE.replace("name: s", "name: NAME") + "victims: [tree]\noptions: [OPTION]\n"


@pytest.mark.turn(1)
def test_a_run_in_the_place_of_another_is_judged_by_its_own_references(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another driver and fewer setups, with '--force': nothing of the old run is there any more to be judged by."""
    for name in ("old", "new"):
        (tmp_path / f"{name}.toml").write_text(SHELL.replace("NAME", name))
    for name, option in (("a", "x"), ("b", "y")):
        (tmp_path / f"{name}.yaml").write_text(NAMED.replace("NAME", name).replace("OPTION", option))
    out, a, b = (str(tmp_path / name) for name in ("run", "a.yaml", "b.yaml"))
    more = ["-k", "exec-mkdir-1", "--out", out]

    assert cli.main(["run", a, b, "--driver", str(tmp_path / "old.toml"), *more]) == 0
    old = (tmp_path / "run" / "results.jsonl").read_bytes()
    assert cli.main(["run", b, "--driver", str(tmp_path / "new.toml"), *more[2:], "-k", "nothing", "--force"]) == 5
    assert (tmp_path / "run" / "results.jsonl").read_bytes() == old
    assert len(list((tmp_path / "run" / "evidence").iterdir())) == 4
    assert cli.main(["run", b, "--driver", str(tmp_path / "new.toml"), *more, "--force"]) == 0
    capsys.readouterr()
    assert cli.main(["judge", out]) == 0

    assert "; 0 of them came out differently" in capsys.readouterr().out
    assert len(list((tmp_path / "run" / "evidence").iterdir())) == 2
    after = stored(tmp_path / "run", "b/exec-mkdir-1/tree").after
    assert after is not None
    assert [file.path for file in after.files] == ["new"]
    assert cli.main(["judge", out]) == 0
    (tmp_path / "new.toml").write_text(SHELL.replace("NAME", "newer"))
    assert cli.main(["run", b, "--driver", str(tmp_path / "new.toml"), *more, "--resume"]) == 4
    assert "by an adapter that said something else" in capsys.readouterr().err
