"""Numbers, durations and long names, as a sentence or a line of a terminal can bear them."""

from collections.abc import Iterable

CUT = "…"


def many(count: int, one: str, several: str = "") -> str:
    """A number with its noun: '1 trial', '2 trials'; with `several` also '1 trial is', '2 trials are'."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def middle_cut(text: str, width: int) -> str:
    """A text of at most that many characters. Trials' ids differ at their end, so that most of the end is kept."""
    if len(text) <= width:
        return text
    front = max(0, (width - len(CUT)) // 3)
    back = max(0, width - len(CUT) - front)
    return f"{text[:front]}{CUT}{text[len(text) - back :]}"[: max(0, width)]


def duration(seconds: float) -> str:
    """A duration for people: '0.4 s', '52 s', '3 min 07 s', '2 h 05 min'."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def listed(numbers: Iterable[int]) -> str:
    """Numbers in their order; three or more in a row as a range: '1, 3, 5 to 9'."""
    rows: list[list[int]] = []
    for number in sorted(numbers):
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    return ", ".join(f"{row[0]} to {row[-1]}" if len(row) > 2 else ", ".join(map(str, row)) for row in rows)


def system(guest: str, kernel: str) -> str:
    """What machines ran: 'debian13, kernel 6.12.118'; "" where it is not recorded."""
    return ", ".join([guest] * bool(guest) + [f"kernel {kernel}"] * bool(kernel))


def with_time(accel: str, time: str) -> str:
    """What machines run under and what their clocks follow: 'tcg, virtual time'; the latter if it is known."""
    known = {"real": "real time", "virtual": "virtual time", "mixed": "virtual and real time"}
    return ", ".join(word for word in (accel, known.get(time, "")) if word)
