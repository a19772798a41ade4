"""Cases from the field: the small faults of real extracts, each on one made-up site."""
