"""Explanations: what models rely on, on held-out patients and in aggregate only."""
