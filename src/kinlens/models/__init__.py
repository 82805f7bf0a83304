"""Vectors to answers: estimators with `fit` and `predict`."""
