"""A commented adapter file to begin from, for each family."""

from crashinit.contract.family import Family

HEAD = """# {name}: say here in one line what is tested.
name = "{name}"
title = "{name}"
family = "{family}"  # {title}
# The directory in the machine that holds all that the driver keeps; {{root}} in commands stands for it.
root = "/var/lib/{name}"
init = ["{name}", "init", "{{root}}"]
shutdown = ["{name}", "shutdown", "{{root}}"]
# Of a daemon, whose init does not end its process: when it is ready. One of log, file, socket.
# ready = {{ log = "listening" }}
# What a healthy base looks like.
expect = {{ fstype = "ext4" }}
# Steps that this driver's init does not have, each with the reason. The steps are {steps}.
# absent = {{ {last} = "why" }}

# The driver's own records: a command that prints one JSON document and changes nothing; its form is what
# `crashinit schema records` prints. Without it no clause can compare what was written down with what is there.
# [records]
# command = ["{name}", "records", "{{root}}"]
"""
VOLUME = """
# Where the base is (one of device, mounted, command), and how a user's volume is made, mounted and removed: without
# these four there is no used root to begin from, so that nobody learns whether users' data are kept.
[volume]
{where}
# create = ["{name}", "create", "{{root}}", "{{id}}"]
# mount = ["{name}", "mount", "{{root}}", "{{id}}"]  # prints the mount point
# unmount = ["{name}", "unmount", "{{root}}", "{{id}}"]
# remove = ["{name}", "remove", "{{root}}", "{{id}}"]
"""
WHERE = {"lvm": 'device = "/dev/{name}/base"', "volume": 'mounted = "{{root}}/mnt"'}
DEVICES = {
    "thinpool": """
[devices]
pool = "{name}-pool"
base = "{name}-base"
data = "/var/lib/{name}/data"  # the file or the device below the pool
metadata = "/var/lib/{name}/metadata"
""",
    "lvm": """
[devices]
group = "{name}"  # the volume group; the pool in it is called 'pool', the base 'base'
data = "{{root}}/disk.img"  # the physical volume's file
# system = "{{root}}/lvm"  # LVM_SYSTEM_DIR, if the driver has one of its own
""",
}
TAIL = """
[install]
packages = []  # Debian's, each as name, name=version or name/suite
# modules = ["dm-crypt"]  # of the kernel
files = [{{ source = "{name}", target = "/usr/local/bin/{name}" }}]  # from beside this file
"""


def template(name: str, family: Family) -> str:
    """The text of an adapter file for a driver of this family, to be filled in."""
    words = {
        "name": name,
        "family": family.name,
        "title": family.title,
        "steps": ", ".join(family.steps),
        "last": family.steps[-1],
    }
    where = WHERE.get(family.name, WHERE["volume"] if family.name != "thinpool" else "")
    parts = [HEAD.format(**words)]
    if where:
        parts.append(VOLUME.format(where=where.format(**words), **words))
    parts += [DEVICES.get(family.name, "").format(**words), TAIL.format(**words)]
    return "".join(parts)
