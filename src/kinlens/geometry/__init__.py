"""Distances and the spaces that they live in."""
