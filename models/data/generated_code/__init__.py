"""Generated functions in six languages that do the same under other names, flawed or not, and candidate patches."""
