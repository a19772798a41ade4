"""Evaluation: how well predicted probabilities separate, match and rank outcomes."""
