"""The automatic index: a posting for each term of each path, and filters as algebra on those sets.

Pure: a backend stores the postings and hands them back. Read in this order: ``terms`` (the names of
postings), ``extract`` (a record's terms), ``bitmap`` (a set of numbers), ``columns`` (numbers and
dates), ``search`` (filter → lower and upper match sets), ``tail`` and ``snapshot`` (the index as one
reader sees it), ``top_k`` (pages).
"""
