"""Rounding, quantised tensors, and operators on them."""
