"""What is collected here: the package of a third party is run on its own, by test_third_party."""

collect_ignore = ["third_party"]
