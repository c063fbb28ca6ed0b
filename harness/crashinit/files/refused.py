"""What a model refuses, in a sentence for people: the key, the value as it was written, and what it must be.

Pydantic speaks of its own types ("Input should be a valid tuple"). Its kinds of errors have words here, once for
scenarios, adapters, baselines, stored results and the command's options; what has no words here is "not valid".
"""

import difflib
import reprlib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LIST, KEYS = "a list in brackets", "keys with a value each"
KINDS = {  # the part of an error's type before "_type" or "_parsing", and what the value must be
    "string": "a text in quotes",
    "string_unicode": "a text in Unicode",
    "int": "a whole number",
    "int_from_float": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "bool": "'true' or 'false'",
    **dict.fromkeys(("tuple", "list", "set", "frozen_set", "iterable"), LIST),
    **dict.fromkeys(("dict", "mapping", "model", "model_attributes", "dataclass"), KEYS),
}
BOUNDS = {  # an error's type, the key of its bound, and what the value must be
    "greater_than": ("gt", "more than {:g}"),
    "greater_than_equal": ("ge", "at least {:g}"),
    "less_than": ("lt", "less than {:g}"),
    "less_than_equal": ("le", "at most {:g}"),
    "string_too_short": ("min_length", "a text of at least {} character(s)"),
    "string_too_long": ("max_length", "a text of at most {} characters"),
    "too_short": ("min_length", "a list of at least {} item(s)"),
    "too_long": ("max_length", "a list of at most {} items"),
}


def first(error: ValidationError) -> "ErrorDetails":
    """The fault to speak of: an unknown key before all, since that another one is missing follows from it."""
    return min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")


def sentence(fault: "ErrorDetails", model: type[BaseModel] | None = None, written: str = "", called: str = "") -> str:
    """The fault as a sentence.

    `model` knows which keys there are, `written` is the value as its file spells it, and `called` is what people
    call the place, if that is not a key.
    """
    where = called or f"'{_key(fault)}'" * bool(_key(fault))
    match fault["type"]:
        case "missing":
            return f"the key {where} is missing."
        case "extra_forbidden":
            keys = _keys(model, fault["loc"])
            close = difflib.get_close_matches(str(fault["loc"][-1]), keys, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known keys are {', '.join(keys)}." if keys else ""
            return f"unknown key {where}: {hint}" if hint else f"unknown key {where}."
        case "value_error":
            said = str(fault["ctx"]["error"]).rstrip(".")
            return f"{said}." if not where or where.rstrip("'") in said else f"{where}: {said}."
    if fault["loc"] and isinstance(fault["loc"][-1], int) and fault["type"] != "literal_error":
        where = f"an item of {where}"
    return f"{where or 'the whole'} is {written or shown(fault['input'])}, but {must(fault)}."


def must(fault: "ErrorDetails") -> str:
    """What the value had to be: "must be a whole number"."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in ("literal_error", "enum"):
        return f"may only be {context['expected']}"
    if kind in BOUNDS:
        key, words = BOUNDS[kind]
        return f"must be {words.format(context[key])}"
    for ending in ("", "_type", "_parsing", "_parsing_size"):
        if kind.endswith(ending) and (words := KINDS.get(kind.removesuffix(ending), "")):
            return f"must be {words}"
    return "is not valid there"


def shown(value: Any) -> str:
    """A value as files spell it, and not much of a long one."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return reprlib.repr(value)


def _key(fault: "ErrorDetails") -> str:
    """Where the fault is: keys with dots between them. Which item of a list it is the line tells, or the value."""
    return ".".join(part for part in fault["loc"] if isinstance(part, str))


def _keys(model: type[BaseModel] | None, location: tuple[int | str, ...]) -> list[str]:
    """The keys that a model knows at a place inside it; none if that cannot be told."""
    for part in location[:-1]:
        if model is not None and isinstance(part, str):
            field = model.model_fields.get(part)
            model = _model_in(field.annotation) if field else None
    return list(model.model_fields) if model else []


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The model that a type is, or that it holds: that of `tuple[Known, ...]`, and of `Ready | None`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next((found for part in get_args(kind) if (found := _model_in(part))), None)
