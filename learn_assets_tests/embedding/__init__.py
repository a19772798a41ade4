"""Tests of learn_assets.embedding."""
