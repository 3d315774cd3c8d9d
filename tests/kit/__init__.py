"""The project's own test kit: the state machine and its model, kill loops, crashes, parity runs."""
