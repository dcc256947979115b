"""``onnxlin region`` and what it prints."""
