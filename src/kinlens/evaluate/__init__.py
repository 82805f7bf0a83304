"""Honest evaluation: splits, metrics, resampling, and the statistics of matrices and signal."""
