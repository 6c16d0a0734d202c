"""What rows refer to in the folders beside the ledger, and whether it is there."""
