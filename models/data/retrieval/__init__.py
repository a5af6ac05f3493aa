"""Texts and what is asked of them: pairs that do the same, lists of candidates, and the jobs that make them."""
