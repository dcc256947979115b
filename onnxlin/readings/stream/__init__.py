"""The stream of a transformer: where it lies, and what each of its depths brings to a row."""
