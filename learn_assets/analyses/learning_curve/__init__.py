"""Learning curve: what more training patients would bring."""
