"""Reporting: what leaves the lake, as masked numbers, figures, one HTML page and a summary."""
