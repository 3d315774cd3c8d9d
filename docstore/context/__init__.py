"""Context: what the views of one open store share, and one collection as one scope sees it."""
