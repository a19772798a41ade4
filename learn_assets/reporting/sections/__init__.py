"""Sections: what the report says about one topic each, from tables of the lake."""
