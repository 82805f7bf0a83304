"""Pictures and sequences of organisms, joined into one tested map of looks and kinship.

Importing this package loads nothing heavy: the studies, estimators and statistics live in the
subpackages and are imported from there.
"""

__version__ = "0.1.0"
