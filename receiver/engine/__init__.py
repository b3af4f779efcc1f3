"""Claims, leases, pools, the committer and the sweeps."""
