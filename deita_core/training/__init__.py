"""Training scorers on labelled turns, and measuring them on turns they never saw."""
