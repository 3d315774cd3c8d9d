"""The tokens of many documents, worked out together, are those of each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from docstore.index.bitmap import Bitmap
from docstore.index.ngrams import document_tokens, names_tokens, tokens_of
from docstore.query.text import fold, index_words

NAMES = st.sampled_from(["ab.", "aAB-1 \1", "aé\u212aİß\ufb01", "日本aあ\uffff", "a\U0001f600b"]).flatmap(
    lambda letters: st.lists(st.text(st.sampled_from(letters), max_size=9), min_size=1, max_size=20)
)
CONTENTS = st.lists(
    st.one_of(st.none(), st.text(st.sampled_from("ab 日"), max_size=8)), min_size=20, max_size=20
)


@given(NAMES)
def test_the_tokens_of_many_names_are_those_of_each(names: list[str]) -> None:
    """Each name has its own text of tokens, in which one may stand more than once."""
    expected = [set(document_tokens(name, fold(name), "").split()) for name in names]
    assert expected == [set(tokens.split()) for tokens in names_tokens(names)]


@given(NAMES, CONTENTS, st.lists(st.integers(0, 99), min_size=20, max_size=20, unique=True))
def test_each_token_has_the_documents_that_have_it(
    names: list[str], contents: list[str | None], numbers: list[int]
) -> None:
    """By token the numbers of the documents, each once and ascending."""
    numbers = sorted(numbers[: len(names)])
    contents = contents[: len(names)]
    expected: dict[str, list[int]] = {}
    for name, content, number in zip(names, contents, numbers, strict=True):
        for token in set(document_tokens(name, fold(name), index_words(content)).split()):
            expected.setdefault(token, []).append(number)
    found = tokens_of(names, contents, numbers)
    assert expected == {token.decode(): list(Bitmap.of_members(members).members) for token, members in found}


def test_tokens_of_thousands_of_names_are_sets() -> None:
    """A piece that a name has several times counts once, in every form of a set."""
    names = [f"aaaa{'b' * (number % 2)}.txt" for number in range(5000)]
    found = dict(tokens_of(names, [None] * 5000, range(1, 5001)))
    assert 5000 == Bitmap.of_members(found[b"naaa"]).count
    assert list(range(2, 5001, 2)) == list(Bitmap.of_members(found[b"naab"]).members)
