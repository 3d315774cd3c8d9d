"""Writes: from a caller's values to rows and bytes in one commit (the put protocol, steps P0 to P5)."""
