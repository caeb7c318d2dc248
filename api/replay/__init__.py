"""Replays: the pipeline run day by day over an archive, each run as of its own instant, and what came of it.

Each day is an ordinary run of the ordinary engine, in a database of the replay's own. This room decides which
instants there are, feeds the archive to them without reading it all each time, and adds up the outcome.
"""
