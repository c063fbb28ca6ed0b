"""Kinds of storage stacks."""
