"""What machines run: a distribution's suite, a kernel, packages; docs/guests.md."""

from crashinit.machine.guests.guest import DEFAULT, Guest, load, names

__all__ = ["DEFAULT", "Guest", "load", "names"]
