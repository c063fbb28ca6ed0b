"""Scenario and trace make trials: which boundaries are struck, how, and what the trials are called."""

import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import pytest
from crashinit import families
from crashinit.contract.family import Family
from crashinit.errors import UsageError
from crashinit.faults import planned
from crashinit.faults.planned import second_crashes
from crashinit.model.observation import OperationRecord
from crashinit.model.trial import Trial
from crashinit.scenario.errnos import ERRNOS, errors_of, number
from crashinit.scenario.plan import in_rows, left_out, quoted, read, slugs, spread, write
from crashinit.scenario.scenario import Scenario

from ..contract.builder import run
from ..families.thinpool.test_steps import INIT
from ..families.traces import trace

OPERATIONS = trace(*INIT)
ROW = trace("exec mkfs.ext4", *["dev.write base mkfs.ext4"] * 9, "dev.fsync base mkfs.ext4", "exit driver")

FAMILY = families.load()


def scenario(**keys: object) -> Scenario:
    return Scenario.model_validate({"title": "t", "name": "s", **keys})


def trials(asked: Scenario, operations: Sequence[OperationRecord], driver: str, family: Family) -> list[Trial]:
    """Planned from an init that did this."""
    return planned.trials(asked, run().model_copy(update={"operations": operations}), driver, family)


def test_where_a_fault_has_nothing_to_strike_it_is_not_planned_and_that_is_said() -> None:
    """A child can be killed only where a child is about to act."""
    operations = trace("exec mkfs.ext4", "dev.write base mkfs.ext4", "exit driver")
    operations[1:2] = [operations[1].model_copy(update={"pid": 99})]
    init = run().model_copy(update={"operations": operations, "pid": operations[-1].pid})
    asked = scenario(step="all", fault="child")

    assert [trial.point.n for trial in planned.trials(asked, init, "d", FAMILY)] == [2]
    assert planned.left_out(asked, init, FAMILY) == ["s: 2 operations at which 'child' has nothing to strike"]


def test_all_boundaries_are_struck_once_by_each_victim() -> None:
    """'step: all' leaves no operation out, and no two trials have one id."""
    plan = trials(scenario(step="all"), OPERATIONS, "d", FAMILY)

    assert [trial.point.n for trial in plan] == [n for n in range(1, len(OPERATIONS) + 1) for _ in range(2)]
    assert len({trial.id for trial in plan}) == len(plan)
    assert {trial.victim for trial in plan} == {"process", "tree"}


def test_ids_never_collide() -> None:
    """Keys that would look alike are quoted, so that each boundary has trials of its own."""
    words = ["file.create metadata/base", "file.create metadata-base", "file.create a b", "file.create a-b"]
    odd = [os.fsdecode(name) for name in ("file.create ä".encode(), "file.create ö".encode(), b"file.create \xe9")]
    operations = trace(*[f"{word} driver" for word in [*words, *odd] if " a b" not in word], "exit driver")
    plan = trials(scenario(step="all"), operations, "d", FAMILY)

    assert len({trial.id for trial in plan}) == len(plan) == 2 * len(operations)
    keys = [f"{word}#1" for word in [*words, *odd]]
    found = slugs(keys)
    assert len(set(found.values())) == len(keys)
    assert {unquote(found[key], errors="surrogateescape") for key in keys} == set(keys)


def test_ordinary_keys_have_the_ids_that_they_always_had() -> None:
    """An id of a published report means the same point today; the name of a step that does not occur as well."""
    known = {
        "dm.create pool#1": "dm.create-pool-1",
        "file.create metadata/.tmp*#2": "file.create-metadata-.tmpx-2",
        "dm.message ctd-pool create_thin#1": "dm.message-ctd-pool-create_thin-1",
        "(the step does not occur)": "the-step-does-not-occur",
    }

    assert slugs(known) == known


def test_the_ids_of_the_published_reports_are_those_of_today() -> None:
    """Each published plan can be read, and its operations have the same slugs today."""
    plans = sorted((Path(__file__).parents[2] / "reports").glob("*-*.*/plan.json"))
    assert len(plans) >= 3
    for path in plans:
        plan = read(path)
        short = slugs(trial.point.operation for trial in plan)
        assert all(short[trial.point.operation] in trial.id.split("/") for trial in plan)


@pytest.mark.parametrize("word", ["a b", "ä", os.fsdecode(b"\xe9"), "a%20b", "~", "\n"])
def test_quoting_can_be_undone(word: str) -> None:
    """From a quoted key the key comes back."""
    assert unquote(quoted(word), errors="surrogateescape") == word
    assert quoted(word).isascii()


def test_a_plan_with_a_doubled_id_is_refused(tmp_path: Path) -> None:
    """The results of one trial would be taken for the other's: neither written nor read."""
    trial = trials(scenario(step="all"), OPERATIONS, "d", FAMILY)[0]
    with pytest.raises(UsageError, match=f"2 trials of the plan have the id '{trial.id}'"):
        write(tmp_path / "plan.json", [trial, trial])
    assert not (tmp_path / "plan.json").exists()

    (tmp_path / "plan.json").write_text(json.dumps([trial.as_json()] * 2))
    with pytest.raises(UsageError, match="2 trials of the plan have the id"):
        read(tmp_path / "plan.json")


DEEP = "[" * 100_000


@pytest.mark.parametrize("text", ["{}", "[1]", "[{}]", DEEP, "NaN", '"text"', "\xff", "[[]]", '[{"id": NaN}]'])
def test_what_is_no_plan_is_one_sentence(tmp_path: Path, text: str) -> None:
    """Whatever is in the file, it is named, and no part of it is guessed."""
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(UsageError, match=f"'{path}' is not a plan of this version") as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [{"weather": "rain"}, {"restarts": "many"}, {"setup": {}}, {"point": None}])
def test_a_trial_of_another_version_is_not_run_as_another_trial(tmp_path: Path, change: dict[str, object]) -> None:
    """A key that this version does not know, or of a wrong type, refuses the plan."""
    trial = trials(scenario(step="all"), OPERATIONS, "d", FAMILY)[0]
    (tmp_path / "plan.json").write_text(json.dumps([{**trial.as_json(), **change}]))

    with pytest.raises(UsageError, match="is not a plan of this version"):
        read(tmp_path / "plan.json")


def test_an_exploration_can_be_narrowed_to_steps_and_says_so() -> None:
    """'steps' drops the boundaries of the others, and their number is printed."""
    narrowed = scenario(step="all", steps=["mkfs"])

    assert {trial.point.step for trial in trials(narrowed, OPERATIONS, "d", FAMILY)} == {"mkfs"}
    assert left_out(narrowed, OPERATIONS, FAMILY) == [f"s: {len(OPERATIONS) - 4} boundaries in other steps than mkfs"]


def test_an_operation_fails_only_with_errors_that_it_may_return() -> None:
    """Each possible error is injected once and always; the end of a process cannot fail."""
    plan = trials(scenario(step="all", fault="errno"), OPERATIONS, "d", FAMILY)

    for operation in OPERATIONS:
        found = {(trial.error, trial.victim) for trial in plan if trial.point.operation == operation.key}
        assert found == {(name, lasting) for name in errors_of(operation.kind) for lasting in ("once", "always")}
    init = run().model_copy(update={"operations": OPERATIONS})
    assert planned.left_out(scenario(step="all", fault="errno"), init, FAMILY) == [
        "s: 1 operations at which 'errno' has nothing to strike"
    ]


def test_only_the_chosen_errors_are_injected() -> None:
    """'errnos' narrows the errors; an operation that returns none of them is not struck."""
    plan = trials(scenario(step="all", fault="errno", errnos=["EBUSY"]), OPERATIONS, "d", FAMILY)

    assert {trial.error for trial in plan} == {"EBUSY"}
    assert {trial.point.operation.split()[0] for trial in plan} <= {
        "file.rename", "loop.configure", "dm.create", "dm.table-load", "dm.remove",
    }  # fmt: skip


@pytest.mark.parametrize("name", ERRNOS)
def test_errors_bear_the_kernels_names(name: str) -> None:
    """Every error that is injected has a number on this system."""
    assert number(name) > 0


def test_representative_points_keep_first_middle_and_last_of_a_row() -> None:
    """Rows are thinned only when that is asked for, and what is left out is printed."""
    thin, full = scenario(step="all", representative=True), scenario(step="all")

    assert in_rows(ROW) == {2, 3, 4, 6, 7, 8}
    assert [trial.point.n for trial in trials(thin, ROW, "d", FAMILY)[::2]] == [1, 2, 6, 10, 11, 12]
    assert len(trials(full, ROW, "d", FAMILY)) == 2 * len(ROW)
    assert "6 operations in rows" in left_out(thin, ROW, FAMILY)[0]
    assert left_out(full, ROW, FAMILY) == []


def test_a_second_crash_strikes_the_re_init_and_remembers_the_first() -> None:
    """The point is of the re-init, the id tells both, and the trial survives its plan file."""
    first = trials(scenario(step="all"), OPERATIONS, "d", FAMILY)[7]
    second = second_crashes(first, ROW, FAMILY)

    assert [trial.point.operation for trial in second] == [operation.key for operation in ROW]
    assert all(trial.earlier == first.point and trial.id.startswith(f"{first.id}/then/") for trial in second)
    assert Trial.from_json(second[3].as_json()) == second[3]


@pytest.mark.parametrize(("count", "budget"), [(1000, 200), (201, 200), (200, 200), (5, 200), (7, 3)])
def test_a_sample_is_as_large_as_the_budget_and_spread_over_all(count: int, budget: int) -> None:
    """No trial twice, the plan's order, no gap larger than any other by more than one; the same on each call."""
    first = trials(scenario(step="all"), OPERATIONS, "d", FAMILY)[0]
    plan = second_crashes(first, trace(*["dev.write base mkfs.ext4"] * count), FAMILY)
    sample = spread(plan, budget)
    places = [plan.index(trial) for trial in sample]
    gaps = {after - before for before, after in itertools.pairwise(places)}

    assert len(sample) == min(count, budget)
    assert places == sorted(set(places))
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert sample == spread(plan, budget)
