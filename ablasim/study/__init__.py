"""Many runs: sweeps over the fields of a scenario."""
