"""Diagnostic subtypes of hospital discharges: from registry files to clusters and their meaning."""
