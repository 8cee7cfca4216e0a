"""Causal language models: loading them, and batches of token lists that fit the memory.

What the LLM scorers, the LLM embedder and the perplexity baselines share. It knows neither
scores nor embeddings.
"""
