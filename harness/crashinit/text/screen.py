"""What programs of a machine may tell a person's terminal: to move the cursor, to colour, to clear, to change modes.

What speaks to the terminal itself is left out: its title, clipboard, printer and links, and questions. The answer to a
question would come as if it had been typed, perhaps when the machine is gone, and then into another shell.

Sources: ECMA-48; XTerm Control Sequences (Thomas E. Dickey, invisible-island.net/xterm/ctlseqs).
"""

import codecs
import re

ESC = "\x1b"
CONTROLS = "\a\b\t\n\v\f\r\x0e\x0f"  # and no ENQ, which is a question
# By parameters' prefix and what precedes the final character: which final characters a control sequence may have.
SEQUENCES = {
    "": "@ABCDEFGHIJKLMPSTXZ`abdefghlmrsu",
    "?": "hlJK",
    ">": "m",
    "!": "p",
    " ": "q",
}
SEQUENCE = re.compile(r"\x1b\[([<=>?]?)([0-9:;]*)([ -/]*)([@-~])")
ESCAPE = re.compile(r"\x1b([ -/]*)([0-~])")
BEGUN = re.compile(r"\x1b(\[[0-?]*)?[ -/]*")  # of either
LASTING = "mrhl"  # of sequences without a prefix, those that change what comes later: colours, region, insertion
SETS = ("(", ")", "*", "+")  # between an escape and the name of a set of characters
SINGLE = "78=>DEHMNOc"  # behind an escape: cursor and keypad, index, tabulators, sets of characters, reset
STRINGS = "]PX^_k"  # what begins a string for the terminal itself
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # show a text in another order
LONGEST = 64  # characters of a sequence
# Modes by their numbers: which a terminal has on, and what puts right what no mode says.
ON = frozenset({"7", "25"})
PLAIN = f"{ESC}[0m{ESC}(B\x0f{ESC}[4l{ESC}>{ESC}7{ESC}[r{ESC}8"


class Screen:
    """One machine's output, in any pieces."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""  # the beginning of a sequence
        self._in_string = False
        self._modes: dict[str, bool] = {}
        self._is_plain = True

    def passed(self, data: bytes) -> bytes:
        """What may go to the terminal."""
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        passed: list[str] = []
        at = 0
        while at < len(text):
            if self._in_string:
                at = self._end_of_string(text, at)
            elif text[at] != ESC:
                if text[at] in CONTROLS or not (_is_control(text[at]) or text[at] in DIRECTIONS):
                    passed.append(text[at])
                at += 1
            elif text[at + 1 : at + 2] and text[at + 1] in STRINGS:
                self._in_string = True
                at += 2
            elif _may_go_on(text[at:]):
                self._rest = text[at:]
                break
            else:
                taken, told = self._sequence(text, at)
                passed.append(told)
                at += taken
        return "".join(passed).encode()

    def ended(self) -> bytes:
        """What makes the terminal again as it was."""
        changed = [(mode, mode in ON) for mode, is_on in self._modes.items() if is_on != (mode in ON)]
        back = "".join(f"{ESC}[?{mode}{'h' if was_on else 'l'}" for mode, was_on in reversed(changed))
        self._modes.clear()
        plain, self._is_plain = "" if self._is_plain else PLAIN, True
        return (plain + back).encode()

    def _sequence(self, text: str, at: int) -> tuple[int, str]:
        """How long the sequence is that begins there, and what of it may go to the terminal."""
        if found := SEQUENCE.match(text, at):
            prefix, numbers, between, final = found.groups()
            passes = final in SEQUENCES.get(prefix + between, "")
            stays = not prefix and final in LASTING
            if prefix == "?" and final in "hl":
                self._modes.update(dict.fromkeys(numbers.split(";"), final == "h"))
        elif found := ESCAPE.match(text, at):
            between, final = found.groups()
            passes = stays = between in SETS or (not between and final in SINGLE)
        else:
            return 1, ""  # an escape alone: what follows is text
        self._is_plain &= not (passes and stays)
        return len(found[0]), found[0] if passes else ""

    def _end_of_string(self, text: str, at: int) -> int:
        """Where it goes on behind the string's end, which any control character makes."""
        while at < len(text):
            if _is_control(text[at]):
                self._in_string = False
                return at if text[at] == ESC else at + 1  # what ends it is an escape of its own, and may not pass
            at += 1
        return at


def _may_go_on(text: str) -> bool:
    """Whether this may be the beginning of a sequence whose end has not come yet."""
    return len(text) <= LONGEST and bool(BEGUN.fullmatch(text))


def _is_control(char: str) -> bool:
    return char < " " or "\x7f" <= char <= "\x9f"
