"""Statistics: pure functions of arrays, on numpy and scipy alone; no table, no study, no lake."""
