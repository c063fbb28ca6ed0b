"""Machines under Vagrant."""
