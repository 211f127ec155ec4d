"""Periodic jobs, run by one process of the installation at a time.

jobs.py     the jobs, and how often each one runs
worker.py   the thread that runs them, in the sealer's process: never beside an event loop
"""
