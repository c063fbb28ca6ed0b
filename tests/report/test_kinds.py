"""How trials that went wrong are told apart."""

from dataclasses import replace

import pytest
from crashinit.report.kinds import came_up, in_words

from .events import failing, results

SECOND = replace(failing(results()[0], "diverged", "it failed", {"C01": "fail", "C08": "n/a"}), restarts=2)


@pytest.mark.parametrize(
    ("recovered", "said"), [(True, "Only init number 2 succeeds"), (False, "No init succeeds any more (2 tried)")]
)
def test_whether_an_init_succeeded_is_known_without_any_clause(recovered: bool, said: str) -> None:
    """A driver that is exempt from the clauses on what comes after success may succeed all the same."""
    result = replace(SECOND, recovered=recovered)

    assert (came_up(result), in_words(result)) == (recovered, said)


@pytest.mark.parametrize(("clause", "status"), [("C10", "pass"), ("C11", "fail")])
def test_a_result_of_an_earlier_version_tells_it_by_what_was_judged(clause: str, status: str) -> None:
    """Where it is not recorded, a verdict on what comes after a success shows that there was one."""
    assert came_up(replace(SECOND, clauses={**SECOND.clauses, clause: status}))  # type: ignore[dict-item]
    assert not came_up(SECOND)
