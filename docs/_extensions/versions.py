"""Put the site of one version beside those of others: `python docs/_extensions/versions.py site PAGES 0.1`.

PAGES is the folder that is published. Each version has a folder in it; `versions.json` names them for the
choice in the pages' header, newest first; `index.html` leads to the newest.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

_REDIRECT = """<!doctype html>
<meta charset="utf-8">
<title>docstore</title>
<meta http-equiv="refresh" content="0; url={newest}/">
<a href="{newest}/">docstore {newest}</a>
"""


def publish(site: Path, pages: Path, version: str) -> list[str]:
    """Replace the folder of a version by the built site; return all versions, newest first.

    Args:
        site: what `nox -s docs` has built.
        pages: the published folder; it is made if it is not there.
        version: major and minor number, such as `0.1`.

    Raises:
        SystemExit: the version has another form, or there is no built site.
    """
    if not re.fullmatch(r"\d+\.\d+", version):
        raise SystemExit(f"version {version!r}: expected major and minor number, such as 0.1")
    if not (site / "index.html").is_file():
        raise SystemExit(f"{site} holds no built site: run nox -s docs")
    shutil.rmtree(pages / version, ignore_errors=True)
    shutil.copytree(site, pages / version)
    found = [path.name for path in pages.iterdir() if re.fullmatch(r"\d+\.\d+", path.name)]
    versions = sorted(found, key=lambda name: [int(part) for part in name.split(".")], reverse=True)
    told = [
        {"version": name, "title": name, "aliases": ["latest"] if name == versions[0] else []}
        for name in versions
    ]
    (pages / "versions.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (pages / "index.html").write_text(_REDIRECT.format(newest=versions[0]), encoding="utf-8")
    return versions


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print("\n".join(publish(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
