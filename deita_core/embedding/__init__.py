"""Texts into vectors: the Embedder protocol and all-MiniLM-L6-v2."""
