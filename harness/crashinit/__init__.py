"""Crash-tests the initialisation of storage drivers."""
