"""One query is a straight line, one module a stage.

fields, parse, expr, normalize, plan, run, evaluate, order, cursor.
"""
