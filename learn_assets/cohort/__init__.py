"""Windows and the rules that decide who enters a cohort."""
