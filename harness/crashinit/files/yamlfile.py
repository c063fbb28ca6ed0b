"""YAML from a stranger: plain values, each with its line, and nothing that grows while it is read."""

import reprlib
import sys
from typing import Any, NoReturn

import yaml

DEPTH = 20  # of lists and mappings in one another
NODES = 10_000  # values, keys included
DIGITS = sys.get_int_max_str_digits()  # that Python reads a whole number of
KINDS = {"int": f"whole number of at most {DIGITS:,} digits", "float": "number", "bool": "'true' or 'false'"}


class YamlError(ValueError):
    """What is wrong with a text, and in which line (1-based)."""

    def __init__(self, line: int, said: str) -> None:
        super().__init__(said)
        self.line = line


def read(text: str) -> tuple[yaml.Node | None, Any]:
    """The document as nodes, which know their lines, and as plain values. Raises YamlError.

    Aliases are refused: a few lines of them stand for a billion values.
    """
    try:
        loader = _Loader(text)  # looks at every character
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise YamlError(line, f"the character {_named(error.character)} may not stand there") from error
    except yaml.MarkedYAMLError as error:
        raise YamlError(error.problem_mark.line + 1 if error.problem_mark else 1, str(error.problem)) from error


def _named(character: int | str) -> str:
    return f"U+{character if isinstance(character, int) else ord(character):04X}"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with bounds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            _refuse(event.start_mark, f"an alias ('*{event.anchor}') is not allowed: write the value itself")
        self._depth += 1
        self._nodes += 1
        if self._depth > DEPTH:
            _refuse(event.start_mark, f"lists and mappings are nested more than {DEPTH} deep")
        if self._nodes > NODES:
            _refuse(event.start_mark, f"there are more than {NODES:,} values")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except (ValueError, OverflowError, TypeError, AttributeError, LookupError):
            # A date that is none, a number of 5000 digits, a word that a tag calls a number.
            kind = KINDS.get(node.tag.rpartition(":")[2], "date")
            _refuse(node.start_mark, f"{reprlib.repr(node.value)} is no {kind}")


def _refuse(mark: Any, said: str) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, said, mark)
