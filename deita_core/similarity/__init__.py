"""Exact cosine similarity: its definition, the graph of near pairs, and nearest rows."""
