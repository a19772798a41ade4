"""Time to event: when the outcome comes, with censoring and with death competing."""
