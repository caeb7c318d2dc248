"""What annotates comments."""
