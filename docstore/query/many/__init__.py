"""Hundreds of predicates asked together: what the evaluator makes of them, so that none is asked in vain.

``alternatives`` is where ``evaluate`` comes in: terms that ask the same place become one look at it. What is
here changes no answer, only how it is found.
"""
