"""Holding laws against a model, and what becomes of a failure."""
