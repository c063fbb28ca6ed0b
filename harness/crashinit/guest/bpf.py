"""The filter's program: from the table of what is stopped to classic BPF (<linux/filter.h>, <linux/seccomp.h>).

The system call's number is found by a binary search, because a chain of a hundred comparisons costs every call that is
stopped under a condition. A call that is never stopped costs nothing at all: the kernel keeps a map of those for which
the program answers "allow" by number alone, so number and architecture must be all that leads there.
"""

import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise

from .calls import SYSCALLS, X32, AnyBit, NoBit, OneOf, Rule

SECCOMP_RET_USER_NOTIF = 0x7FC00000
SECCOMP_RET_ALLOW = 0x7FFF0000
AUDIT_ARCH_X86_64 = 0xC000003E
LOAD, AND, RETURN = 0x20, 0x54, 0x06  # BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_RET|K
JUMP, IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT = 0x05, 0x15, 0x35, 0x45  # BPF_JMP with BPF_JA, BPF_JEQ, BPF_JGE, BPF_JSET
DATA_NR, DATA_ARCH, DATA_ARGS = 0, 4, 16  # offsets in struct seccomp_data
FURTHEST = 255  # instructions that a conditional jump can pass over

Code = list[bytes]


def _instruction(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


ALLOW = _instruction(RETURN, SECCOMP_RET_ALLOW)
NOTIFY = _instruction(RETURN, SECCOMP_RET_USER_NOTIF)


def program(stopped: Mapping[str, Rule]) -> bytes:
    """The program that stops these system calls, and every one of another architecture or ABI; all others run."""
    starts: dict[int, Code] = {0: [ALLOW], X32: [NOTIFY]}
    for name, rule in stopped.items():
        number = SYSCALLS[name]
        starts[number] = _under(rule)
        starts.setdefault(number + 1, [ALLOW])
    code = [
        _instruction(LOAD, DATA_ARCH),
        _instruction(IF_EQUAL, AUDIT_ARCH_X86_64, 1, 0),
        NOTIFY,
        _instruction(LOAD, DATA_NR),
        *_search(sorted(starts.items())),
    ]
    return b"".join(code)


def _under(rule: Rule) -> Code:
    """Code that notifies if every condition holds, else allows."""
    if not rule:
        return [NOTIFY]
    condition, *others = rule
    rest = _under(tuple(others))
    load = _instruction(LOAD, DATA_ARGS + 8 * condition.arg)
    if isinstance(condition, AnyBit):
        return [load, _instruction(IF_ANY_BIT, condition.mask, 1, 0), ALLOW, *rest]
    if isinstance(condition, NoBit):
        return [load, _instruction(IF_ANY_BIT, condition.mask, 0, 1), ALLOW, *rest]
    return [load, _instruction(AND, condition.mask), *_among(condition, rest)]


def _among(condition: OneOf, rest: Code) -> Code:
    starts: dict[int, Code] = {0: [ALLOW]}
    for value in condition.values:
        starts[value] = rest
    for value in condition.values:
        starts.setdefault(value + 1, [ALLOW])
    return _search(sorted(starts.items()))


def _search(starts: Sequence[tuple[int, Code]]) -> Code:
    """Code that goes on with the part whose start is the last that is not above the accumulator."""
    starts = [starts[0], *(after for before, after in pairwise(starts) if before[1] != after[1])]
    if len(starts) == 1:
        return starts[0][1]
    middle = len(starts) // 2
    below, above = _search(starts[:middle]), _search(starts[middle:])
    if len(below) <= FURTHEST:
        return [_instruction(IF_AT_LEAST, starts[middle][0], len(below), 0), *below, *above]
    far = _instruction(JUMP, len(below))
    return [_instruction(IF_AT_LEAST, starts[middle][0], 0, 1), far, *below, *above]
