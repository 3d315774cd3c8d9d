"""Services made of docstore: one small application for each of five list APIs, and a demonstration."""
