"""Pagination: pages and walks over a planned query, in any order."""
