"""The run engine: phases, boundaries, recovery. It knows nothing of Reddit and imports nothing of ours."""
