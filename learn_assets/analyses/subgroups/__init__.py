"""Subgroups: how models do for women and men, age bands and races."""
