"""Interpreters of linear programs. They must agree with each other."""
