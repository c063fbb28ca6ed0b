"""Machines under QEMU: the only room that knows it."""
