"""Pages that compute: the compiled graph and a runtime for it in one file (docs/live_page.md)."""
