"""A web server on loopback whose every answer a test decides, and what it can replay."""
