"""From raw text to canonical tables: what is kept, what is quarantined, and the contract checks."""
