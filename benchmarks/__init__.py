"""Measurements: `python -m benchmarks --help` lists them. Every figure is a ratio to a reference of the same run."""
