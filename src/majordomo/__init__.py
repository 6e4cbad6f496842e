"""Majordomo: an LLM gateway for exact cost attribution."""

__version__ = "0.1.0"
