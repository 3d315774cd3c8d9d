"""Prefilters: what a condition on names or contents implies that an index can find.

A prefilter is a superset of its condition and stands before it. Names are found by trigrams of the folded
filename, with the extension pg_trgm where the server has it, else with a function of our own; contents by
their words, as a tsvector made without a parser. JSON needs none: its predicates are the index's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from docstore_sql.fragment import Fragment, either
from docstore_sql.tables import Tables

from docstore.query.expr import (
    All,
    And,
    Compare,
    Contains,
    ElemMatch,
    Expr,
    In,
    Leaf,
    Match,
    Occurs,
    Or,
    leaves,
)
from docstore.query.fields import Collection
from docstore.query.patterns import required_literals
from docstore.query.text import fold
from docstore_postgres import prefilter
from docstore_postgres.patterns import like_text
from docstore_postgres.reach import indexed

__all__ = ["LONGEST", "PENDING", "Finder", "statements"]

LONGEST = 400
"""Characters of a word that the index holds; what is longer is found by its beginning."""
PENDING = 512
"""Kilobytes that an index may put off to sort in: every search reads them from end to end."""
_KEYS = (("id",), ("external_id",), ("document_id",))
_FEW = 64
_BIG = "'*'"
"""The lexeme that stands for the words of a text too long for a tsvector."""
_LARGEST = 900_000
"""Bytes of words that a tsvector surely holds."""
_ZEROS = re.compile(r"0+(?=00)")
"""Zeros that lead two others: their trigrams are in most numbered names, and cost more than they tell."""
_PLAIN_RUN = re.compile(r"[ -~]{2,}")


@dataclass(frozen=True, slots=True)
class Finder:
    """What the indexes of one store can find.

    Attributes:
        tables: the tables' names.
        trigrams: whether filenames are indexed by pg_trgm; else by the function of our own.
    """

    tables: Tables
    trigrams: bool

    def finds(self, collection: Collection, expr: Expr) -> bool:
        """Return whether an index finds a superset of ``expr`` that is likely to be small."""
        match expr:
            case And(terms):
                return any(self.finds(collection, term) for term in terms)
            case Or(terms):
                return all(self.finds(collection, term) for term in terms)
            case Compare(path, "eq") | In(path) if path in _KEYS:
                return True
            case _:
                return collection.name == "documents" and self._finds_inside(expr)

    def _finds_inside(self, leaf: Expr) -> bool:
        """Return whether an index over the documents' metadata, names or contents finds ``leaf``."""
        match leaf:
            case Match() | Occurs():
                return self.prefilter(leaf) is not None
            case Compare(path, "eq", value):
                return _in_metadata(path) and value is not None and not isinstance(value, list)
            case In(path, values):
                plain = not any(value is None or isinstance(value, list | dict) for value in values)
                return _in_metadata(path) and plain and len(values) <= _FEW
            case All(path):
                return _in_metadata(path)
            case Contains(path, values):
                return _in_metadata(path) and 0 < len(values) <= _FEW
            case ElemMatch(path, condition):
                equals = (isinstance(leaf, Compare) and leaf.op == "eq" for leaf in leaves(condition))
                return _in_metadata(path) and any(equals)
            case _:
                return False

    def lists(self, collection: Collection, term: Expr) -> bool:
        """Return whether ``term`` is a long list of values that the index over the metadata finds, one by
        one.
        """
        return (
            collection.name == "documents"
            and isinstance(term, In)
            and len(term.values) > _FEW
            and _in_metadata(term.path)
            and not any(value is None or isinstance(value, list | dict) for value in term.values)
        )

    def _listed(self, term: In) -> Fragment:
        """Return that a document has one of the values: a look in the index for each."""
        table = self.tables.named("document")
        tests = [prefilter.equality(term.path[1:], value) for value in term.values]
        one = f"SELECT m.number FROM {table} AS m WHERE m.metadata_json @@ p.v OFFSET 0"
        found = f"SELECT f.number FROM unnest(%s::jsonpath[]) AS p(v) CROSS JOIN LATERAL ({one}) AS f"
        return Fragment(f"d.number = ANY(ARRAY({found}))", (tests,))

    def prefilters(self, collection: Collection, expr: Expr) -> list[Fragment]:
        """Return the prefilters of the conjuncts of ``expr``."""
        if collection.name != "documents":
            return []
        terms = expr.terms if isinstance(expr, And) else (expr,)
        found = [self.prefilter(term) for term in terms if isinstance(term, Match | Occurs)]
        listed = [
            self._listed(term) for term in terms if isinstance(term, In) and self.lists(collection, term)
        ]
        return [*(each for each in found if each is not None), *listed]

    def prefilter(self, leaf: Leaf) -> Fragment | None:
        """Return the prefilter of a search term or of a string operator on the filename, if it has one."""
        if isinstance(leaf, Occurs):
            return self._occurs(leaf)
        if not isinstance(leaf, Match) or leaf.path != ("filename",):
            return None
        part = _required(leaf)
        return None if part is None else self._named(part)

    def _named(self, part: str) -> Fragment | None:
        """Return that a document's folded filename has all trigrams of ``part``."""
        return self._has_grams("filename_fold", part)

    def _has_grams(self, column: str, part: str) -> Fragment | None:
        """Return that a fold of a filename has all trigrams of ``part``."""
        if self.trigrams:
            parts = _ZEROS.split(part) if len(max(_ZEROS.split(part), key=len)) > 2 else [part]
            pattern = "%".join(["", *map(like_text, parts), ""])
            return Fragment(f"d.{column} LIKE %s", (pattern,)) if len(part) > 2 else None
        grams = {part[at : at + 3] for at in range(max(1, len(part) - 2))}
        lexemes = sorted(f"{_lexeme(gram)}{':*' if len(gram) < 3 else ''}" for gram in grams)
        query = " & ".join(lexemes)
        return Fragment(f"{self.tables.named('grams')}(d.{column}) @@ %s::tsquery", (query,))

    def _occurs(self, leaf: Occurs) -> Fragment | None:
        named = self._named(leaf.text)
        searched = self._has_grams("filename_search", leaf.text)  # where it is another fold; else NULL
        named = None if named is None or searched is None else either((named, searched))
        if named is None or (leaf.content and not leaf.words):
            return None
        if not leaf.content:
            return named
        *whole, last = (_lexeme(word[:LONGEST]) for word in leaf.words)
        query = (
            _BIG
            + " | "
            + " & ".join([*whole, last + (":*" if leaf.prefix or len(leaf.words[-1]) > LONGEST else "")])
        )
        words = f"{self.tables.named('terms')}(c.words) @@ %s::tsquery"
        contents = Fragment(f"SELECT c.number FROM {self.tables.content} AS c WHERE {words}", (query,))
        names = named.wrapped(f"SELECT d.number FROM {self.tables.named('document')} AS d WHERE ")
        return Fragment(
            f"d.number IN ({contents.text} UNION ALL {names.text})", contents.values + names.values
        )


def statements(tables: Tables) -> list[str]:
    """Return the statements that create the functions and indexes of words and names.

    Whoever may not create the extension gets the function of our own; both give the same answers.
    """
    document, names = tables.named("document"), tables.named("grams")
    index = f'CREATE INDEX IF NOT EXISTS "{tables.prefix}document_names" ON {document} USING gin '
    searched = f'CREATE INDEX IF NOT EXISTS "{tables.prefix}document_searched" ON {document} USING gin '
    others = "WHERE filename_search IS NOT NULL"
    limit = f"WITH (gin_pending_list_limit = {PENDING})"
    terms = tables.named("terms")
    return [
        _function(
            names, "name", "array(SELECT substr(name, i, 3) FROM generate_series(1, char_length(name)) AS i)"
        ),
        _terms(terms),
        f'CREATE INDEX IF NOT EXISTS "{tables.prefix}content_terms" ON {tables.content} '
        f"USING gin ({terms}(words)) {limit}",
        # CREATE EXTENSION IF NOT EXISTS fails where two make it at once: stores take turns
        "SELECT pg_advisory_xact_lock(hashtextextended('docstore/pg_trgm', 1))",
        f"""DO $block$
        DECLARE
            home text;
        BEGIN
            BEGIN
                CREATE EXTENSION IF NOT EXISTS pg_trgm;
            EXCEPTION WHEN OTHERS THEN
                NULL; -- no right to, none to be had, or somebody else just makes it
            END;
            SELECT quote_ident(n.nspname) INTO home
                FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                WHERE e.extname = 'pg_trgm' AND has_schema_privilege(n.oid, 'USAGE');
            IF home IS NOT NULL THEN
                EXECUTE '{index} (filename_fold ' || home || '.gin_trgm_ops) {limit}';
                EXECUTE '{searched} (filename_search ' || home || '.gin_trgm_ops) {limit} {others}';
            ELSE
                EXECUTE '{index} ({names}(filename_fold)) {limit}';
                EXECUTE '{searched} ({names}(filename_search)) {limit} {others}';
            END IF;
        END $block$""",
    ]


def _function(name: str, argument: str, elements: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}({argument} text) RETURNS tsvector LANGUAGE sql "
        f"IMMUTABLE PARALLEL SAFE AS $function$SELECT array_to_tsvector({elements})$function$"
    )


def _terms(name: str) -> str:
    """Return the function from words to lexemes; most texts hold no word too long."""
    words = "string_to_array(btrim(words, ' '), ' ')"
    cut = f"array(SELECT DISTINCT left(word, {LONGEST}) FROM unnest({words}) AS word WHERE word <> '')"
    return _function(
        name,
        "words",
        f"CASE WHEN octet_length(words) <= {LONGEST} THEN {words} "
        f"WHEN octet_length(words) <= {_LARGEST} THEN {cut} ELSE ARRAY['*'] END",
    )


def _in_metadata(path: tuple[str, ...]) -> bool:
    return path[0] == "metadata" and len(path) > 1 and not indexed(path[1:])


def _required(leaf: Match) -> str | None:
    """Return a text that the folded filename must hold where the filename matches ``leaf``."""
    match leaf.kind:
        case "isubstring":
            return fold(leaf.text) or None
        case "iglob":
            return max(required_literals(leaf.text, folded=True), key=len, default=None)
        case "glob":
            return _folds_alike(required_literals(leaf.text))
        case _:
            return _folds_alike([leaf.text])


def _folds_alike(literals: list[str]) -> str | None:
    """Return the longest run that folding a name around it cannot change but for A–Z.

    A plain character changes only together with a mark behind it: so the last of a run is left out.
    """
    runs = [run[:-1].lower() for literal in literals for run in _PLAIN_RUN.findall(literal)]
    return max(runs, key=len, default=None)


def _lexeme(word: str) -> str:
    quoted = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{quoted}'"
