"""The automatic index: what documents hold at every path, as sets of record numbers, and filters as
algebra on those sets.

Pure: a backend stores the sets and hands them back. Read ``keys`` (names of the facts), ``facts`` (a
    record's facts), ``bits``
(a set of numbers), ``columns`` (numbers by bit slices), ``source`` (where sets come from) and ``bounds``
(filter → sets).
"""
