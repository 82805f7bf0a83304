"""The loops behind the built-in descriptors: one picture in, raw measurements out.

Every function works on one picture and nothing else. What the numbers are called, how they are
scaled and joined to a vector is in `kinlens.embed.descriptors`.
"""
