"""How long deploys, seedings and switchovers take in the lab."""
