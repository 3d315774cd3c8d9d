from shelf_backend import ShelfHarness

from docstore.testing.conformance import conformance_suite

TestShelf = conformance_suite(ShelfHarness, examples=4)
