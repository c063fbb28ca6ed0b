"""The pytest plugin: scenario files as tests, and fixtures for scenarios in Python."""
