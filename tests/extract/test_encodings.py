"""Text encodings: marks, declarations by the WHATWG's rules, UTF-8 with bad bytes, detection."""

from __future__ import annotations

import codecs
import random

import pytest

from docstore.extract import Extracted, extract

WORDS = "Přílíš žluťoučký 東京 — “€” 😀\nsecond line\n"


def read(found: bytes, name: str = "a.txt", content_type: str | None = None) -> Extracted:
    """Read a file."""
    return extract(found, filename=name, content_type=content_type)


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_mark_decides(codec: str) -> None:
    """And is no part of the text, whatever the caller declares."""
    made = read("\ufeff".encode(codec) + WORDS.encode(codec), content_type="text/plain; charset=koi8-r")
    assert (WORDS, "complete") == (made.text, made.state)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_known_by_its_zeros(codec: str) -> None:
    """Nearly every other byte of Latin letters is zero."""
    assert "a plain line of text" == read("a plain line of text".encode(codec)).text


@pytest.mark.parametrize(
    ("label", "codec", "words"),
    [
        ("koi8-r", "koi8-r", "Привет"),
        ("gb2312", "gbk", "朱镕基"),
        ("GBK", "gb18030", "𠮷野家 €"),
        ("shift_jis", "cp932", "髙橋① ～"),
        ("x-sjis", "cp932", "表示"),
        ("euc-kr", "cp949", "똠방각하"),
        ("ks_c_5601-1987", "cp949", "한국어"),
        ("iso-8859-1", "cp1252", "“€” – naïve"),
        ("latin1", "cp1252", "“€”"),
        ("us-ascii", "cp1252", "café"),
        ("iso-8859-9", "cp1254", "Türkçe “ğış”"),
        ("windows-874", "cp874", "สวัสดี"),
        ("tis-620", "cp874", "ชาวโลก"),
        ("big5", "big5hkscs", "中華民國 嘅"),
        ("iso-8859-8-i", "iso8859-8", "שלום"),
        ("x-mac-cyrillic", "mac-cyrillic", "Привет"),
        ("ibm866", "cp866", "Привет"),
        ("cp437", "cp437", "naïve ±"),
        ("iso-8859-15", "iso8859-15", "œuvre €"),
        ("windows-1251", "cp1251", "Привет"),
        ("utf8", "utf-8", "Привет 東京"),
        ("utf-16", "utf-16-le", "Привет"),
        ("iso-2022-jp", "iso2022_jp", "日本語"),
        ("iso-2022-kr", "iso2022_kr", "이것은 한국어"),
    ],
)
def test_the_callers_charset_is_used(label: str, codec: str, words: str) -> None:
    """By the labels of the WHATWG's Encoding Standard, and Python's for others."""
    for declared in (f"text/plain; charset={label}", f'text/plain;format=flowed; charset="{label.upper()}"'):
        made = read(words.encode(codec), content_type=declared)
        assert (words, "complete", None) == (made.text, made.state, made.note)


def test_what_pythons_codecs_leave_out_is_decoded() -> None:
    """NEC's characters in EUC-JP and ISO-2022-JP, and undefined bytes of windows-1252."""
    circled = bytes((0xAD, 0xA1)) + bytes((0xC6, 0xFC))  # ① is in row 13
    assert "①日" == read(circled, content_type="text/plain; charset=euc-jp").text
    assert "①日 x" == read(b"\x1b$B" + bytes(byte & 0x7F for byte in circled) + b"\x1b(B x").text
    assert "ｱx" == read(b"\x1b(I1\x1b(Bx", content_type="text/plain; charset=iso-2022-jp").text
    assert "a\x81b" == read(b"a\x81b", content_type="text/plain; charset=windows-1252").text


@pytest.mark.parametrize(
    ("name", "head", "codec", "words"),
    [
        ("x.html", '<html><meta charset="gb2312">', "gbk", "朱镕基"),
        ("x.html", "<meta http-equiv=content-type content='text/html; charset=shift_jis'>", "cp932", "髙橋①"),
        ("x.html", "<meta charset=euc-kr>", "cp949", "똠방각하"),
        ("x.html", "<meta charset=iso-8859-1>", "cp1252", "“€”"),
        ("x.html", "<html>" + " " * 1500 + "<meta charset=koi8-r>", "koi8-r", "Привет"),
        ("x.html", "<meta charset=utf-16>", "utf-8", "Привет"),
        ("x.xml", '<?xml version="1.0" encoding="iso-8859-2"?>', "iso8859-2", "Łódź"),
        ("x.xml", "<?xml version='1.0' encoding='EUC-JP' ?>", "euc-jp", "日本語"),
        ("x.css", '@charset "windows-1250";', "cp1250", "Příliš"),
        ("x.py", "#!/usr/bin/python\n# -*- coding: iso-8859-2 -*-\n#", "iso8859-2", "Łódź"),
        ("x.po", 'msgid ""\n"Content-Type: text/plain; charset=KOI8-R\\n"\n', "koi8-r", "Привет"),
    ],
)
def test_what_the_file_declares_is_used(name: str, head: str, codec: str, words: str) -> None:
    """In HTML, XML, CSS, source code and translations, within the first 4 KiB."""
    body = f"<p>{words}</p>" if name.endswith("ml") else words
    made = read(f"{head}{body}".encode(codec), name)
    assert words in made.text
    assert "complete" == made.state


def test_a_charset_in_running_text_declares_nothing() -> None:
    """A plain text about encodings is not in the one that it talks of."""
    words = 'Write <meta charset="koi8-r"> or charset=shift_jis: žluťoučký'
    assert words == read(words.encode()).text


def test_a_declaration_that_the_bytes_contradict_is_not_used() -> None:
    """Text that is no Shift_JIS was not written in it."""
    words = "žluťoučký kůň úpěl ďábelské ódy " * 20
    assert words == read(words.encode(), content_type="text/plain; charset=utf-16be, really").text
    assert words == read(words.encode(), content_type="text/plain; charset=gb18030x").text
    assert words == read(words.encode(), content_type="text/plain; charset=nonsense").text


def test_a_few_bad_bytes_leave_utf8() -> None:
    """One byte of Latin-1 among German in UTF-8 becomes U+FFFD, at each place and only there."""
    german = "Grüße aus München, schöne Straße. " * 70
    for at in (0, 1000, 2600):
        whole = german.encode()
        while at < len(whole) and whole[at] & 0xC0 == 0x80:
            at += 1
        made = read(whole[:at] + b"\xe9" + whole[at:])
        assert (german, 1) == (made.text.replace("\ufffd", ""), made.text.count("\ufffd"))


def test_a_character_across_two_pieces_is_one() -> None:
    """Files are decoded in pieces of 256 KiB."""
    for codec in ("utf-8", "gb18030", "euc-jp", "iso2022_jp"):
        words = "日本語" * 120_000
        made = read(
            b"a" + words.encode(codec), content_type=f"text/plain; charset={codec.replace('2022_', '-2022-')}"
        )
        assert "a" + words == made.text


TEXTS = {
    "gb18030": "中华人民共和国是世界上人口众多的国家，拥有悠久的历史和文化。北京是首都，上海是最大的城市。",
    "big5": "中華民國臺灣是一個美麗的島嶼，擁有豐富的自然景觀與文化。臺北是首都，高雄是南部的大城市。",
    "euc_kr": "대한민국은 동아시아의 한반도 남부에 위치한 나라이다. 수도는 서울이며 국민의 절반이 산다.",
    "euc_jp": "日本国は東アジアに位置する島国であり、首都は東京です。人口は約一億二千万人である。",
    "cp932": "日本国は東アジアに位置する島国であり、首都は東京です。人口は約一億二千万人である。",
    "iso2022_jp": "日本国は東アジアに位置する島国であり、首都は東京です。",
    "iso2022_kr": "이것은 간단한 한국어",
    "koi8_r": "Россия расположена в Восточной Европе и Северной Азии. Столица государства находится в Москве.",
    "cp1251": "Россия расположена в Восточной Европе и Северной Азии. Столица государства находится в Москве.",
    "cp1250": "Česká republika je stát ve střední Evropě. Příliš žluťoučký kůň úpěl ďábelské ódy, řekl král. "
    "Hlavní město je Praha, která leží na řece Vltavě a patří k nejkrásnějším městům.",
    "iso8859_7": "Η Ελλάδα είναι χώρα της νοτιοανατολικής Ευρώπης. Πρωτεύουσα και μεγαλύτερη πόλη είναι η Αθήνα.",
    "cp1256": "العربية هي أكثر اللغات السامية تحدثا، وإحدى أكثر اللغات انتشارا في العالم",
    "cp874": "ประเทศไทยเป็นรัฐชาติที่ตั้งอยู่ในภูมิภาคเอเชียตะวันออกเฉียงใต้ เมืองหลวงคือกรุงเทพมหานคร",
    "cp1252": "Die Größe der Straße überraschte alle Gäste, die im schönen München für längere Zeit geblieben "
    "wären. Außerdem müsste man häufiger über Äpfel, Öl und Übungen sprechen.",
}


@pytest.mark.parametrize("codec", TEXTS)
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "unknown"])
def test_undeclared_text_is_detected(codec: str, name: str) -> None:
    """By chardet; among much ASCII the few lines that are not decide."""
    words = TEXTS[codec]
    for text in (words * 3, "plain ASCII words in a line\n" * 3000 + words):
        made = read(text.encode(codec), name)
        assert text.replace(",", "\t").strip("\n") == made.text.replace(",", "\t").strip("\n")
        assert made.state == "complete" or "encoding uncertain" in (made.note or "")


def test_text_that_cannot_be_told_is_windows_1252_and_partial() -> None:
    """Nothing is lost silently: the record says that the encoding is not known."""
    made = read(b"caf\xe9")
    assert ("café", "partial") == (made.text, made.state)
    assert "encoding" in (made.note or "")


def test_zero_bytes_stand_in_text_and_not_in_binary() -> None:
    """One between words becomes U+FFFD, many are no text."""
    assert "one\ufffdtwo\ufffd" == read(b"one\0two\0and"[:8]).text
    made = read(bytes(range(256)) * 4)
    assert ("", "none") == (made.text, made.state)
    assert codecs.lookup("utf-8") is not None


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "words",
    [
        "Привет, мир. Это русский текст.",
        "中文文本没有字节顺序标记，这里有一些文字。",
        "안녕하세요, 한국어 텍스트입니다.",
    ],
)
def test_utf16_of_any_script_is_recognized_without_its_mark(codec: str, words: str) -> None:
    """Where hardly a byte is zero; bytes by chance are binary."""
    words = f"{words}\r\n{words}\r\n"
    assert words == extract(words.encode(codec), filename="a.txt").text
    binary = bytes(random.Random(7).randbytes(600))
    assert "none" == extract(binary, filename="a.txt").state
