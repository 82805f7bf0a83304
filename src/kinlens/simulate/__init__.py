"""Worlds with known truth: trees, sequences, genes, traits and pictures."""
