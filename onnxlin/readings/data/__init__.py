"""Many instances: what a data set says of a model."""
