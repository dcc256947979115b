"""Operators that answer with a graph of simpler nodes."""
