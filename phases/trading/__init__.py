"""Paper trading: what is bought and sold, at which price and by which rules, and the books of it."""
