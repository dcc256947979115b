"""Operators of ``com.microsoft``."""
