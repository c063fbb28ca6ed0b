"""The `-k` expression: words that a trial's id contains, with `and`, `or`, `not` and brackets, as pytest's -k."""

import re
from collections.abc import Callable

from crashinit.errors import UsageError
from crashinit.text.printable import printable

DEPTH = 50  # of 'not' and brackets in one another
_TOKEN = re.compile(r"\s*(?:([()])|([^\s()]+))")

Matcher = Callable[[str], bool]


def matcher(expression: str) -> Matcher:
    """A function that says whether an id is selected. Words match anywhere in it, in either case.

    Raises UsageError when the expression is not well formed.
    """
    return _Parser(expression).parse()


class _Parser:
    """Recursive descent: either = both {or both}; both = one {and one}; one = not one | ( either ) | word."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = [bracket or word for bracket, word in _TOKEN.findall(expression)]
        self._depth = 0

    def parse(self) -> Matcher:
        found = self._either()
        if self._tokens:
            raise self._wrong(f"'{self._tokens[0]}' is not expected there")
        return found

    def _either(self) -> Matcher:
        terms = [self._both()]
        while self._take("or"):
            terms.append(self._both())
        return lambda name: any(term(name) for term in terms)

    def _both(self) -> Matcher:
        terms = [self._one()]
        while self._take("and"):
            terms.append(self._one())
        return lambda name: all(term(name) for term in terms)

    def _one(self) -> Matcher:
        self._depth += 1
        if self._depth > DEPTH:
            raise self._wrong(f"'not' and brackets are nested more than {DEPTH} deep")
        found = self._not_or_word()
        self._depth -= 1
        return found

    def _not_or_word(self) -> Matcher:
        if self._take("not"):
            inner = self._one()
            return lambda name: not inner(name)
        if self._take("("):
            inner = self._either()
            if not self._take(")"):
                raise self._wrong("a ')' is missing")
            return inner
        if not self._tokens:
            raise self._wrong("a word is missing at its end")
        if self._tokens[0] in ("and", "or", ")"):
            raise self._wrong(f"a word is missing before '{self._tokens[0]}'")
        word = self._tokens.pop(0).lower()
        return lambda name: word in name.lower()

    def _take(self, token: str) -> bool:
        if self._tokens[:1] == [token]:
            del self._tokens[0]
            return True
        return False

    def _wrong(self, why: str) -> UsageError:
        return UsageError(f"the expression '{printable(self._expression, 120)}' of '-k' is not well formed: {why}.")
