"""Tests of learn_assets.vocabulary."""
