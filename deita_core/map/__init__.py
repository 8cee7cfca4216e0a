"""The map of a pool: coordinates, clusters, and which points lie inside an outline."""
