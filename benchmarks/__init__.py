"""Claims of speed and safety, each measured beside its peer in one run."""
