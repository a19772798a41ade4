"""Tests of the subtypes package."""
