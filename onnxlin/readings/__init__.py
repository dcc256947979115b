"""What a person reads off a map."""
