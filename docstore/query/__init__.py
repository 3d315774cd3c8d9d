"""One query is a straight line: fields, parse, expr, normalize, plan, run, evaluate, order, cursor; one module a stage."""
