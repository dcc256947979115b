"""Normalisations, with constant statistics and with those of the entries."""
