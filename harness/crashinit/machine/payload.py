"""What the initramfs carries besides the image's own files: our boot scripts and the guest code.

The kernel unpacks archives that follow each other in one initramfs (Documentation/driver-api/early-userspace/
buffer-format.rst), so the image does not depend on the guest code, and a change of the guest code costs a
boot and not an image.
"""

from pathlib import Path

HERE = Path(__file__).parent
GUEST = HERE.parent / "guest"
S_IFREG, S_IFDIR = 0o100000, 0o040000  # <linux/stat.h>


def payload() -> bytes:
    """A newc archive: /init, and below /payload what /init copies to /opt/crashinit."""
    entries: list[tuple[str, int, bytes]] = [("init", S_IFREG | 0o755, (HERE / "boot" / "initrd.sh").read_bytes())]
    entries.append(("payload", S_IFDIR | 0o755, b""))
    entries.append(("payload/init", S_IFREG | 0o755, (HERE / "boot" / "init.sh").read_bytes()))
    entries += [(f"payload/{name}", S_IFDIR | 0o755, b"") for name in ("crashinit", "crashinit/guest")]
    for path in sorted(GUEST.rglob("*.py")):
        name = path.relative_to(GUEST)
        for parent in reversed(name.parents[:-1]):
            folder = (f"payload/crashinit/guest/{parent}", S_IFDIR | 0o755, b"")
            if folder not in entries:
                entries.append(folder)
        entries.append((f"payload/crashinit/guest/{name}", S_IFREG | 0o644, path.read_bytes()))
    return archive(entries)


def appended(initrd: bytes) -> bytes:
    """The image's initramfs and the payload behind it, which must begin at a multiple of four bytes."""
    return initrd + b"\0" * (-len(initrd) % 4) + payload()


def archive(entries: list[tuple[str, int, bytes]]) -> bytes:
    """A newc cpio archive of (path, mode, data), with all times zero so that equal content gives equal bytes."""
    out = bytearray()
    for ino, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        links = 2 if mode & S_IFDIR else 1
        #         ino  mode  uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        fields = (ino, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name.encode()) + 1, 0)
        out += b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4)
        out += data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)
