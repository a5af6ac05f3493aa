"""The syntax of six languages: which grammar reads a file, what a function is, what must not be changed."""
