"""Where b comes from."""
