"""Tests of learn_assets; the folders mirror the package."""
