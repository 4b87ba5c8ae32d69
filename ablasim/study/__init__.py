"""Many runs of one scenario: the risk of an incomplete margin, its causes, its calibration."""
