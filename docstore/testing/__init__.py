"""What tests of docstore, of its backends and of applications on it are made of."""
