"""Tests of learn_assets.cohort."""
