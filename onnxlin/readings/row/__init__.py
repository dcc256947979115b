"""One map, row by row: contributions, layers, norms, and their report."""
