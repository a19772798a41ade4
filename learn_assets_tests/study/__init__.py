"""Tests of learn_assets.study."""
