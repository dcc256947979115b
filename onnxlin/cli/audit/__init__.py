"""``onnxlin audit`` and what it prints."""
