"""Power cuts: what a disk may hold when the power goes during init, and what init makes of it after the boot."""
