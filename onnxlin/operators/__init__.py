"""Facts about operators that are known before any x: each stands here once."""
