"""Convolution, pooling, resizing and sampling."""
