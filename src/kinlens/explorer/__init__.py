"""The page on which runs are looked at and asked: what it shows, and how it is served or kept."""
