"""Champion: which models are in force, kept or replaced on paired evidence."""
