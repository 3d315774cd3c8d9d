"""Pagination: from a planned query to pages, in whatever order."""
