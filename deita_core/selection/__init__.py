"""Selection: the Repr Filter and other strategies, evol scores, measures of a selection."""
