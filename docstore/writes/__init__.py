"""Writes: from what a caller gives to rows and bytes in one commit (STORAGE: P0 to P5)."""
