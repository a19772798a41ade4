"""Tests from raw files to results."""
