"""Site hold-out: models of all other institutions of a network at each one."""
