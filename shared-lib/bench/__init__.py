"""Benchmarks of events on real stores: `python -m bench.events --help`. They print figures and judge nothing."""
