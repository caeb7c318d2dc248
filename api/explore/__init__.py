"""`phaseline explore`: the run database in Datasette, to read only."""
