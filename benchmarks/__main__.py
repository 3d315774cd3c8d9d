"""The command: `python -m benchmarks NAME …`; without a name it lists what can be measured."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = {
    "service": "what a service pays: new values in every question, writes between, beside SQL by hand (W1 to W12)",
    "within_budget": "whether every accepted query ends within its budget of time",
    "scale": "partitions, replicas and several processes, on tens of millions of documents",
    "whole": "whole runs: indexing a folder, importing, memory, bytes in and out, what the index takes (W11)",
    "relevance": "the order of relevance beside bm25 and ts_rank; what a ranked page costs",
    "page": "the first byte of docstore serve's lists beside their find, and its whole pages",
    "peers": "W2's page beside other embedded stores",
    "real_files": "how much text of real files is read",
}


def main(arguments: list[str]) -> int:
    """Run the benchmark that is named first; return its exit code."""
    if not arguments or arguments[0] not in NAMES:
        print(__doc__)
        for name, what in NAMES.items():
            print(f"  {name:14} {what}")
        return 0 if arguments in ([], ["--help"]) else 2
    return int(import_module(f"benchmarks.{arguments[0]}").main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
