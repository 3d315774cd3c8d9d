"""Test support for docstore, for backends of others and for applications on it."""
