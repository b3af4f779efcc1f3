"""The tamper-evident log: numbering, checkpoints, copies, verification."""
