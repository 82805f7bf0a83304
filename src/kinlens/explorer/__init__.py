"""The page on which a run is looked at and asked: what is shown, how it is served, how it is kept."""
