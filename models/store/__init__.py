"""Bytes that must not be lost: objects, manifests, checkpoints, pointers."""
