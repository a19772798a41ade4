"""Analyses: one folder each, found by where it lies; CONTRIBUTING.md says what is in one."""
