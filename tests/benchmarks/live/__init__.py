"""What all rows of W cost the live engine: ``python -m tests.benchmarks --live``."""
