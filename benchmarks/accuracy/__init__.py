"""How right the embedded analyser is, on texts that people labelled."""
