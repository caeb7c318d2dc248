"""Keeping score: what predictions came to, how far authors are trusted, and portfolios against the market."""
