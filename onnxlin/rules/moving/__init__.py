"""Operators that move, choose, repeat or write entries."""
