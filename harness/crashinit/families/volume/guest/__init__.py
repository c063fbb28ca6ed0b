"""What the probe looks at of a volume, and how it is used: the family's part in the machine."""

from crashinit.guest.volumes import exercise, observe

__all__ = ["exercise", "observe"]
