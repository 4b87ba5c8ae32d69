"""Many runs: the risk of an incomplete margin, and sweeps over the fields of a scenario."""
