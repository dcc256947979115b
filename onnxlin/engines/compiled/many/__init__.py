"""Many instances in one call of a compiled graph."""
