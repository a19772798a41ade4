"""Imbalance: what treating rare cases otherwise does to ranks and probabilities."""
