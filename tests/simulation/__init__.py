"""Deterministic simulation of a recorder's whole life: `python -m tests.simulation --help`."""
