"""Deita Studio's core: everything the app does, from Python, without Streamlit."""
