"""``onnxlin explain``: what it asks, prints and writes."""
