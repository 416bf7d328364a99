"""The audit log: a Merkle tree of canonical entries, signed checkpoints, receipts and an offline verifier."""
