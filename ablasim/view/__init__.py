"""Pictures of a run to turn and look at."""
