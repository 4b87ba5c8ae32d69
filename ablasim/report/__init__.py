"""Pictures, tables and the HTML report of a run; everything is read back from the run's own
files."""
