"""Networks: modules that compute, losses that score, batches that gather, and the one trainer."""
