"""Tests of learn_assets.reporting."""
