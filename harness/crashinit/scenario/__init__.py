"""Scenario files, and the trials that a trace makes of them."""
