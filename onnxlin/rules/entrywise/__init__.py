"""Operators that work on every entry alone."""
