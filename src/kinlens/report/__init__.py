"""Figures and the one-page report, made from a `StudyResult` alone."""
