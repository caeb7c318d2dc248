"""The bundled sample: made up by us, deterministic."""
