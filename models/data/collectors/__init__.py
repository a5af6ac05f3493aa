"""Readers of collections of functions from elsewhere: one per shape, all behind ``reading.read_collection``."""
