"""``onnxlin verify`` and what it makes of a failure."""
