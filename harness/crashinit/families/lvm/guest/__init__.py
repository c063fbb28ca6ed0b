"""What the probe looks at of a volume group with a thin pool: the family's part in the machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crashinit.guest import process, thin
from crashinit.guest import records as core_records
from crashinit.guest.gaps import Gaps
from crashinit.guest.probe import Seen, Spec
from crashinit.guest.volumes import exercise

from . import text

__all__ = ["exercise", "observe"]

TEMPORARY = (".lvm_",)  # LVM's: with the host's name, a process id and a random number
LIMIT = 30.0  # seconds for one program of LVM's
ENVIRONMENT = {"LVM_SUPPRESS_FD_WARNINGS": "1"}
COLUMNS = "lv_name,lv_attr,lv_size,pool_lv,thin_id,transaction_id,lv_health_status,lv_uuid"
PIECE = 1 << 20  # bytes
METADATA = Path("/var/tmp/crashinit-tmeta.img")  # on a disk, for thin_check reads past the page cache


def observe(spec: Spec, seen: Seen, gaps: Gaps) -> dict[str, Any]:
    """The group by LVM's own word, the pool through the stack, the base."""
    group = str(spec.given["group"])
    where = thin.Where(
        pool_name=f"{group}-{spec.given.get('pool_name', 'pool')}-tpool",
        base_name=f"{group}-{spec.given.get('base_name', 'base')}",
        data="",
        metadata="",
        digests=spec.digests,
    )
    known = core_records.base_of(seen.records)
    found: dict[str, Any] = {
        "pool_name": where.pool_name,
        "base_name": where.base_name,
        "base_id": known.id if known else None,
        "prefixes": [f"{group}-", *spec.given.get("prefixes", ())],
    }
    if spec.after_shutdown:
        return {**found, "thin_check": checked(spec, where, seen, gaps)}
    pool, base = thin.look(where, seen.dm, known, gaps)
    return {**found, "pool": pool, "base": base, "more": told(spec, group, gaps)}


def told(spec: Spec, group: str, gaps: Gaps) -> dict[str, str]:
    """What vgck and lvs say of the group: of a good one, vgck nothing and lvs a document."""
    found = {}
    with gaps.looking("more", "LVM could not be asked"):
        check = asked(spec, ["vgck", group])
        found["vgck"] = check.output if check.exit or check.stderr.strip() else ""
        listed = asked(spec, ["lvs", "-a", "--reportformat", "json", "-o", COLUMNS, group])
        found["lvs"] = listed.stdout.decode("utf-8", "replace") if not listed.exit else listed.output
    return found


def asked(spec: Spec, argv: list[str]) -> process.Ended:
    """A program of LVM's, with the driver's own settings. Raises ToolError, ValueError."""
    own = spec.given.get("system", "")
    return process.tool(argv, LIMIT, {**ENVIRONMENT, **({"LVM_SYSTEM_DIR": str(own)} if own else {})})


def checked(spec: Spec, where: thin.Where, seen: Seen, gaps: Gaps) -> dict[str, Any] | None:
    """thin_check of the pool's metadata, which LVM hides once the pool is down: read from where LVM has them."""
    if thin.live_pool(where, seen.dm):
        gaps.state("thin_check", f"the pool '{where.pool_name}' is still active, so its metadata was not checked")
        return None
    image = str(spec.given.get("data", ""))
    if not Path(image).exists():
        return None
    with gaps.looking("thin_check", "the pool's metadata could not be checked"), copied(image, spec) as metadata:
        ended = process.tool(["thin_check", str(metadata)], thin.CHECK_LIMIT)
        return {"argv": ended.argv, "exit": ended.exit, "output": ended.output}
    return None


@contextmanager
def copied(image: str, spec: Spec) -> Iterator[Path]:
    """The pool's metadata volume, copied out of the physical volume. Raises OSError, ValueError."""
    with Path(image).open("rb") as source, METADATA.open("wb") as target:
        try:
            pool = spec.given.get("pool_name", "pool")
            for offset, length in text.extents(text.metadata(source), f"{pool}_tmeta"):
                source.seek(offset)
                left = length
                while left:
                    piece = source.read(min(left, PIECE))
                    if not piece:
                        raise ValueError("the physical volume ends before the pool's metadata do")
                    target.write(piece)
                    left -= len(piece)
            target.flush()
            yield METADATA
        finally:
            METADATA.unlink(missing_ok=True)
