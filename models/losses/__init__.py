"""Losses that torch has not, one a module."""
