"""How far two ways of computing the same may differ."""
