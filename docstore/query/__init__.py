"""One query is a straight line, one module a stage.

``parser`` → ``planner`` → the backend → ``executor``, which rechecks by ``evaluator``. They
hand on an ``expr``.
"""
