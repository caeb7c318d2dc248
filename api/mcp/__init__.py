"""`phaseline mcp`: what runs found, for programs that speak the Model Context Protocol."""
