"""Things to vectors: pictures and sequences, by descriptors, counts and networks."""
