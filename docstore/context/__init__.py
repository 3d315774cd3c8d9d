"""Context: the state that the views of one open store share, and one collection within one scope."""
