"""The only door to onnxruntime: sessions, and element types on their way in and out."""
