"""Neural modules, one per file."""
