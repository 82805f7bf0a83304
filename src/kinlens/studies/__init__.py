"""The studies: each a frozen configuration and a function from a collection to a result."""
