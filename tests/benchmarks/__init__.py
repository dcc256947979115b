"""Benchmarks: they print tables and assert nothing about time."""
