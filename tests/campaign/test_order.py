"""The order of trials when there is no time for all."""

from dataclasses import replace
from itertools import pairwise

from crashinit.campaign.order import by_what_they_tell, scattered
from crashinit.model.trial import Point, Trial

from ..contract.builder import evidence, operation, run
from ..toys import planned


def trial(n: int, operation: str, victim: str = "tree", fault: str = "kill", step: str = "mkfs") -> Trial:
    point = Point(step, "during", n, f"{operation}#{n}")
    return replace(planned(f"{step}/{n}/{operation}/{fault}/{victim}"), point=point, victim=victim, fault=fault)


WRITES = [trial(n, "dev.write base", victim) for n in range(2, 22) for victim in ("process", "tree")]
TRIALS = [trial(1, "exec mkfs"), *WRITES, trial(22, "dev.fsync base"), trial(22, "dev.fsync base", "once", "errno")]


def test_no_trial_is_lost_and_none_comes_twice() -> None:
    """Whatever comes first, all come."""
    assert sorted(one.id for unit in by_what_they_tell(TRIALS) for one in unit) == sorted(one.id for one in TRIALS)


def test_one_of_each_place_and_fault_comes_first() -> None:
    """A row of forty writes is one place, and its middle stands for it; then come the other victims."""
    order = [one for unit in by_what_they_tell(TRIALS) for one in unit]

    assert [(one.point.operation.split("#")[0], one.fault) for one in order[:4]] == [
        ("exec mkfs", "kill"),
        ("dev.write base", "kill"),
        ("dev.fsync base", "kill"),
        ("dev.fsync base", "errno"),
    ]
    assert 8 < order[1].point.n < 16
    assert order[4].point.operation.startswith("dev.write base")
    assert order[4].victim != order[1].victim


def test_the_order_is_the_same_each_time() -> None:
    """It hangs on no hash and no clock."""
    assert by_what_they_tell(TRIALS) == by_what_they_tell(list(TRIALS))


def test_what_is_left_is_spread() -> None:
    """After any beginning no long stretch is left out."""
    units = [[trial(n, "dev.write base")] for n in range(64)]
    order = [unit[0].point.n for unit in scattered(units)]

    assert sorted(order) == list(range(64))
    for count in (4, 8, 16, 32):
        seen = [-1, *sorted(order[:count]), 64]
        assert max(right - left for left, right in pairwise(seen)) <= 2 * 64 // count


def test_an_operation_with_another_one_after_it_comes_before_the_rest() -> None:
    """The last write of a row, after which the next program begins, is not like those in its midst."""
    keys = [f"dev.write base#{n}" for n in range(2, 22)] + ["dev.fsync base#22"]
    operations = [operation("dev.write", "base").model_copy(update={"key": key}) for key in keys]
    whole = evidence().model_copy(update={"fault_run": run(operations=operations)})
    order = [one for unit in by_what_they_tell(WRITES, {WRITES[0].setup: whole}) for one in unit]

    assert {(one.point.n, one.victim) for one in order[2:4]} == {(21, "process"), (21, "tree")}
