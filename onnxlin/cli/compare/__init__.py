"""``onnxlin compare``: two models at one input, and over a data set."""
