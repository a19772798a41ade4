"""Tests of the dbt models and of what runs them."""
