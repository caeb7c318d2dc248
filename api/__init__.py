"""The entrance: HTTP, command line and settings; the only place that knows both engine and pipeline."""
