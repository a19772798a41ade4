"""Readers of raw extracts: one module a data model, all ending in the same raw tables."""
