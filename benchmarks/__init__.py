"""Ratios to a floor, measured side by side: `python -m benchmarks` runs them all. No test depends on them."""
