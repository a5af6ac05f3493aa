"""Functions of many repositories as one balanced data set, split without leaks, with pairs and triples."""
