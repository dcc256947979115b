"""Runs against other people's software, recorded in docs/demonstrations.md.

They stand beside the tests, as they need the generators of random models and Hypothesis, and not in
the package: nobody who linearises a model needs them.
"""
