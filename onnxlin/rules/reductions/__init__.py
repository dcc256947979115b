"""Sums, means, norms and softmax over axes."""
