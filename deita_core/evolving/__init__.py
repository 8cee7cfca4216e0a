"""Evolving instructions and responses, and ranking what came of it, by a chat model."""
