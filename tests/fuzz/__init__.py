"""Broken models and files, in great numbers: every entry point answers rightly, or refuses.

``python -m tests.fuzz --inputs 1000`` (or ``--hours 1``) runs it; a short run with a fixed seed is
among the tests. An input is made from (seed, index) alone, so each can be made again.
"""
