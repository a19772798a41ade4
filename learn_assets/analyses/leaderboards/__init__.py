"""Leaderboards: every window and encoder side by side, and an honest number for the best."""
