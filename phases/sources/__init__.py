"""Where posts and comments come from."""
