"""The words for what a model refuses: ours for each kind of error, and never pydantic's."""

from typing import Any, Literal

import pytest
from crashinit.files import refused
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    word: Literal["a", "b"] = "a"
    count: int = Field(default=1, ge=1, le=3)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: Inner | None = None
    many: tuple[Inner, ...] = Field(default=(), max_length=2)
    names: frozenset[str] = frozenset()
    pairs: dict[str, str] = {}
    needed: str


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "the key 'needed' is missing."),
        ({"neded": "x"}, "unknown key 'neded': did you mean 'needed'?"),
        ({"inner": {"cuont": 1}}, "unknown key 'inner.cuont': did you mean 'count'?"),
        ({"many": [{"zzz": 1}]}, "unknown key 'many.zzz': known keys are word, count."),
        ({"inner": {"word": "c"}}, "'inner.word' is 'c', but may only be 'a' or 'b'."),
        ({"inner": {"count": True}}, "'inner.count' is true, but must be a whole number."),
        ({"inner": {"count": 0}}, "'inner.count' is 0, but must be at least 1."),
        ({"many": [{}, {}, {}]}, "'many' is [{}, {}, {}], but must be a list of at most 2 items."),
        ({"many": [7]}, "an item of 'many' is 7, but must be keys with a value each."),
        ({"names": "x"}, "'names' is 'x', but must be a list in brackets."),
        ({"names": [None]}, "an item of 'names' is null, but must be a text in quotes."),
        ({"pairs": []}, "'pairs' is [], but must be keys with a value each."),
        ({"needed": 3}, "'needed' is 3, but must be a text in quotes."),
    ],
)
def test_each_kind_of_fault_has_its_sentence(data: dict[str, Any], said: str) -> None:
    """Key, value and what it must be; an unknown key comes first, with the keys of the table in which it stands."""
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(data)

    assert refused.sentence(refused.first(caught.value), Outer) == said
