"""Nested selection: the scores by which a best cell is chosen without its own patients."""
