"""Word, Excel and PowerPoint: what a reader of the file sees comes out, in whatever it is wrapped."""

from __future__ import annotations

import io
import zipfile

import pytest
from made_files import STRICT, W, docx, odt, p, part, pptx, r, relations, sheet, slide, xlsx, zipped

from docstore.extract import Extracted, ExtractionError, ExtractLimits, extract


def read(found: bytes, name: str, **options: object) -> Extracted:
    """Return a file's text, read in a child process as it is for everybody."""
    return extract(found, filename=name, **options)  # type: ignore[arg-type]


def word(body: str, parts: dict[str, str | bytes] | None = None, **targets: str) -> list[str]:
    """Return the lines of a Word file, which is read completely."""
    made = read(docx(body, parts, **targets), "a.docx")
    assert ("complete", None) == (made.state, made.note)
    return [line for line in made.text.split("\n") if line]


CHOICE = (
    "<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx><w:txbxContent>{0}</w:txbxContent>"
    "</wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox><w:txbxContent>{0}</w:txbxContent>"
    "</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (p(r("keep "), f"<w:ins>{r('NEW')}</w:ins>", "<w:del><w:r><w:delText>OLD</w:delText></w:r></w:del>"), ["keep NEW"]),
        (p(f"<w:moveFrom>{r('GONE')}</w:moveFrom>", f"<w:moveTo>{r('moved')}</w:moveTo>"), ["moved"]),
        (p(f"<w:del>{r('OLD')}</w:del>", r("new")), ["new"]),
        (p(f"<w:smartTag>{r('A')}</w:smartTag>", f"<w:fldSimple w:instr='X'>{r('B')}</w:fldSimple>"), ["AB"]),
        (p(f"<w:hyperlink>{r('A')}</w:hyperlink>", f"<w:sdt><w:sdtContent>{r('B')}</w:sdtContent></w:sdt>"), ["AB"]),
        (p(f"<w:customXml><w:bdo>{r('A')}</w:bdo></w:customXml>", f"<w:dir>{r('B')}</w:dir>"), ["AB"]),
        (p(CHOICE.format(p(r("once")))), ["once"]),
        (p(f"<mc:AlternateContent><mc:Fallback>{r('only')}</mc:Fallback></mc:AlternateContent>"), ["only"]),
        (
            p(
                "<w:r><w:ruby><w:rt><w:r><w:t>toukyou</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>東京</w:t></w:r>"
                "</w:rubyBase></w:ruby></w:r>"
            ),
            ["東京"],
        ),
        (p("<m:oMath><m:f><m:num><m:r><m:t>x</m:t></m:r></m:num></m:f><m:r><m:t>+1</m:t></m:r></m:oMath>"), ["x+1"]),
        (
            p(
                "<w:r><w:fldChar w:fldCharType='begin'/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r>",
                r("code"), "<w:r><w:fldChar w:fldCharType='separate'/></w:r>", r("7"),
                "<w:r><w:fldChar w:fldCharType='end'/></w:r>", r(" of 9"),
            ),
            ["7 of 9"],
        ),
        (p(r("Hel"), "<w:proofErr/>", r("lo"), "<w:r><w:tab/><w:t>you</w:t><w:br/><w:t>too</w:t></w:r>"), ["Hello\tyou", "too"]),
        ("<w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr>" + p(r("a")), ["a"]),
        (p("<w:r><w:t>M&#252;ller &amp; S&#xf6;hne</w:t></w:r>"), ["Müller & Söhne"]),
        (p("<w:r><w:pict><v:shape><v:textpath string='ART'/></v:shape></w:pict></w:r>", r("b")), ["ART", "b"]),
        (p("<w:r><w:sym w:font='X' w:char='2192'/><w:noBreakHyphen/><w:t>x</w:t></w:r>"), ["→-x"]),
    ],
)  # fmt: skip
def test_runs_are_read_in_whatever_they_are_wrapped(body: str, lines: list[str]) -> None:
    """Insertions, moves, tags, fields, text boxes once; not what was deleted, coded or written above."""
    assert lines == word(body)


def table(*rows: tuple[str, ...]) -> str:
    """Return a table of Word."""
    made = "".join("<w:tr>" + "".join(f"<w:tc>{cell}</w:tc>" for cell in row) + "</w:tr>" for row in rows)
    return f"<w:tbl>{made}</w:tbl>"


def test_tables_are_rows_of_cells() -> None:
    """Cells are parted by tabs without leading ones; a table within a cell is part of it."""
    inner = table((p(r("x")), p(r("y"))))
    lines = word(table((p(r("a")), p(r("b"))), (p(), p(r("c"))), (p(r("d")) + inner, p(r("e")))))
    assert ["a\tb", "c"] == lines[:2]
    assert ["d", "x", "y", "e"] == lines[2].split()


def test_all_parts_that_a_reader_sees_are_read() -> None:
    """Headers, footers, footnotes, endnotes, comments, charts; not styles, themes, glossaries, properties."""
    parts = {
        "header1.xml": part("w:hdr", p(r("HEADER"))),
        "footer1.xml": part("w:ftr", p(r("FOOTER"))),
        "comments.xml": part("w:comments", f"<w:comment>{p(r('COMMENT'))}</w:comment>"),
        "footnotes.xml": part("w:footnotes", f"<w:footnote>{p(r('FOOTNOTE'))}</w:footnote>"),
        "endnotes.xml": part("w:endnotes", f"<w:endnote>{p(r('ENDNOTE'))}</w:endnote>"),
        "charts/chart1.xml": part(
            "c:chartSpace", "<c:title><a:p><a:r><a:t>CHART</a:t></a:r></a:p></c:title>"
        ),
        "glossary/document.xml": part("w:glossaryDocument", p(r("GLOSSARY"))),
        "styles.xml": part("w:styles", p(r("STYLE"))),
    }
    targets = {
        "header1": "header1.xml", "footer1": "/word/footer1.xml", "comments": "Comments.xml", "chart": "charts/chart1.xml",
        "footnotes": "footnotes.xml", "endnotes": "endnotes.xml", "glossaryDocument": "glossary/document.xml",
        "styles": "styles.xml",
    }  # fmt: skip
    lines = word(p(r("BODY")), parts, **targets)
    assert "BODY" == lines[0]
    assert {"HEADER", "FOOTER", "COMMENT", "FOOTNOTE", "ENDNOTE", "CHART", "BODY"} == set(lines)


def test_a_whole_file_in_place_is_read() -> None:
    """HTML, RTF and Word files that Word shows as a part of the document."""
    parts: dict[str, str | bytes] = {
        "a.html": "<p>from <b>html</b></p>",
        "b.docx": docx(p(r("from word"))),
        "c.rtf": r"{\rtf1 from rtf}",
    }
    lines = word(p(r("body")), parts, aFChunk1="a.html", aFChunk2="b.docx", aFChunk3="c.rtf")
    assert ["body", "from html", "from word", "from rtf"] == lines


def test_strict_files_are_read() -> None:
    """Word and Excel saved as "Strict Open XML" have other namespaces, and the same text."""
    strict = docx(p(r("strict")))
    with zipfile.ZipFile(io.BytesIO(strict)) as package:
        parts = {name: package.read(name).decode() for name in package.namelist()}
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    made = {
        name: text.replace(W, f"{STRICT}/wordprocessingml/main").replace(
            office, f"{STRICT}/officeDocument/relationships"
        )
        for name, text in parts.items()
    }
    assert "strict\n" == read(zipped(dict(made)), "a.docx").text
    rows = '<row><c t="inlineStr"><is><t>strict</t></is></c><c t="d"><v>2024-01-31</v></c></row>'
    found = xlsx(sheet(rows, namespace=f"{STRICT}/spreadsheetml/main"))
    assert "strict\t2024-01-31" in read(found, "a.xlsx").text


def cells(*values: str) -> str:
    """Return a row of these cells."""
    return f"<row>{''.join(values)}</row>"


def test_cells_are_read_as_they_are_shown() -> None:
    """Strings of all kinds, numbers, booleans, errors, dates, percent, hours; phonetic runs are left out."""
    strings = "<si><t>shared</t></si><si><r><t>rich </t></r><r><t>text</t></r><rPh><t>yomi</t></rPh></si>"
    styles = (
        '<numFmts><numFmt numFmtId="170" formatCode="yyyy\\-mm"/><numFmt numFmtId="171" formatCode="0.0&quot;d&quot;"/>'
        '<numFmt numFmtId="172" formatCode="0.00%"/><numFmt numFmtId="173" formatCode="[h]:mm"/>'
        '<numFmt numFmtId="15" formatCode="0"/>'
        '</numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="171"/>'
        '<xf numFmtId="172"/><xf numFmtId="173"/><xf numFmtId="15"/></cellXfs>'
    )
    rows = cells(
        '<c t="s"><v>0</v></c>', '<c t="s"><v>1</v></c>', '<c t="str"><f>A1</f><v>cached</v></c>', '<c t="b"><v>1</v></c>',
        '<c t="e"><v>#N/A</v></c>', "<c><v>0.10000000000000001</v></c>", "<c><v>42</v></c>", "<c><v>1.5E+3</v></c>",
        '<c s="1"><v>45322</v></c>', '<c s="2"><v>45322.5</v></c>', '<c s="3"><v>3.5</v></c>',
        '<c s="4"><v>0.125</v></c>', '<c s="4"><v>2</v></c>', '<c s="5"><v>1.5</v></c>',
        '<c s="5"><v>-0.51</v></c>', '<c s="6"><v>45322</v></c>',
        '<c t="inlineStr"><is><t>in_x000A_line</t></is></c>',
    )  # fmt: skip
    lines = read(xlsx(sheet(rows), strings=strings, styles=styles), "a.xlsx").text.split("\n")
    assert "One" == lines[0]
    assert [
        "shared", "rich text", "cached", "TRUE", "#N/A", "0.1", "42", "1500", "2024-01-31", "2024-01-31 12:00:00", "3.5",
        "12.5%", "200%", "36:00:00", "-12:14:24", "45322", "in line",
    ] == lines[1].split("\t")  # fmt: skip


def test_blank_cells_make_no_tabs() -> None:
    """Hundreds of rows with a cell in the last column are as many words."""
    rows = "".join(f'<row r="{n}"><c r="A{n}"/><c r="XFD{n}"><v>{n}</v></c></row>' for n in range(1, 401))
    made = read(xlsx(sheet(rows, '<dimension ref="A1:XFD1048576"/>')), "a.xlsx")
    assert [str(n) for n in range(1, 401)] == made.text.split()[1:]
    assert len(made.text) < 3000


def test_what_stands_beside_the_cells_is_read() -> None:
    """Comments, shapes, chart titles, headers of pages, sheets in their order; odd parts cost nothing."""
    more = (
        '<dataValidations><dataValidation type="nonsense" sqref="??"/></dataValidations>'
        '<headerFooter><oddHeader>&amp;L&amp;"Arial,Bold"&amp;12Report &amp;&amp; Co&amp;RPage &amp;P</oddHeader></headerFooter>'
    )
    ns = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts = {
        "worksheets/_rels/sheet1.xml.rels": relations(
            comments="../Comments1.xml", drawing="../drawings/drawing1.xml"
        ),
        "comments1.xml": f'<comments xmlns="{ns}"><authors><author>Ann</author></authors><commentList><comment><text>'
        "<r><t>a remark</t></r></text></comment></commentList></comments>",
        "drawings/drawing1.xml": part("wsDr", "<a:p><a:r><a:t>a shape</a:t></a:r></a:p>"),
        "drawings/_rels/drawing1.xml.rels": relations(chart="../charts/chart1.xml"),
        "charts/chart1.xml": part(
            "c:chartSpace",
            "<c:title><a:p><a:r><a:t>a title</a:t></a:r></a:p></c:title><c:tx><c:strRef><c:f>Sheet!$A$1</c:f><c:strCache>"
            "<c:pt><c:v>a series</c:v></c:pt></c:strCache></c:strRef></c:tx>",
        ),
    }
    styles = '<fills><fill><gradientFill type="weird"/></fill></fills><cellXfs><xf numFmtId="abc"/></cellXfs>'
    cell = '<row><c t="inlineStr" s="7"><is><t>cell</t></is></c></row>'
    found = xlsx(sheet(cell, more), sheet(cell.replace("cell", "second")), parts=dict(parts), styles=styles)
    made = read(found, "a.xlsx")
    assert "complete" == made.state
    assert [
        "One", "cell", "Report & Co Page", "a remark", "a shape", "a title", "a series", "Two", "second",
    ] == [" ".join(line.split()) for line in made.text.split("\n") if line]  # fmt: skip


def test_slides_come_in_their_order_with_all_that_is_on_them() -> None:
    """Tables, charts, SmartArt, notes and comments; a layout's words are no one's."""
    grid = (
        "<p:graphicFrame><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>x</a:t></a:r></a:p></a:txBody></a:tc>"
        "<a:tc><a:txBody><a:p><a:r><a:t>y</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>"
    )
    parts = {
        "slides/_rels/slide1.xml.rels": relations(
            chart="../charts/c.xml", diagramData="../d/data.xml", diagramDrawing="../d/drawing.xml", notesSlide="../n.xml",
            comments="../cm.xml", slideLayout="../layout.xml",
        ),
        "charts/c.xml": part("c:chartSpace", "<c:cat><c:strCache><c:pt><c:v>CATEGORY</c:v></c:pt></c:strCache></c:cat>"),
        "d/data.xml": part("dgm:dataModel", "<dgm:pt><dgm:t><a:p><a:r><a:t>SMART</a:t></a:r></a:p></dgm:t></dgm:pt>"),
        "d/drawing.xml": part("dgm:drawing", "<a:p><a:r><a:t>SMART</a:t></a:r></a:p>"),
        "n.xml": part("p:notes", "<a:p><a:r><a:t>NOTE</a:t></a:r></a:p>"),
        "cm.xml": part("p:cmLst", "<p:cm><p:text>COMMENT</p:text></p:cm>"),
        "layout.xml": part("p:sldLayout", "<a:p><a:r><a:t>Click to add</a:t></a:r></a:p>"),
    }  # fmt: skip
    made = read(pptx(slide("first", more=grid), slide("second"), order=(2, 1), parts=dict(parts)), "a.pptx")
    assert "complete" == made.state
    assert ["second", "first", "x\ty", "CATEGORY", "SMART", "NOTE", "COMMENT"] == [
        line for line in made.text.split("\n") if line
    ]


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.docx", "application/zip"),
        ("a.docx", "application/x-zip-compressed"),
        ("a.docx", "application/octet-stream"),
        ("a.docx", "application/msword"),
        ("a.doc", None),
        ("a.dotx", None),
        ("a.docm", None),
        ("a.dotm", None),
        ("a.zip", None),
        ("a", None),
        ("a.pdf", None),
        ("a.txt", None),
        ("A.DOCX", None),
    ],
)
def test_a_word_file_is_known_by_its_bytes(name: str, content_type: str | None) -> None:
    """Whatever it is called, and whatever it is sent as."""
    made = extract(docx(p(r("words"))), filename=name, content_type=content_type)
    assert ("words\n", "complete") == (made.text, made.state)


@pytest.mark.parametrize("name", ["a.potx", "a.ppsx", "a.ppsm", "a.pptm", "a.potm", "a.ppt", "a.bin"])
def test_a_powerpoint_file_is_known_by_its_bytes(name: str) -> None:
    """Templates, shows and macro files as well."""
    assert "words" in extract(pptx(slide("words")), filename=name).text


@pytest.mark.parametrize("name", ["a.xltx", "a.xlsm", "a.xltm", "a.xlam", "a.xls", "a.csv"])
def test_an_excel_file_is_known_by_its_bytes(name: str) -> None:
    """Templates, add-ins and macro files as well."""
    found = xlsx(sheet('<row><c t="inlineStr"><is><t>words</t></is></c></row>'))
    assert "words" in extract(found, filename=name).text


def test_a_part_that_is_broken_costs_itself_alone() -> None:
    """Malformed XML gives what stands outside of tags, entities are refused; both are said."""
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    for header, kept in (
        ("<w:hdr><w:p>HEAD &amp; MORE <w:b></w:hdr>", "HEAD & MORE"),
        (f'<!DOCTYPE x [<!ENTITY e0 "boom">{bomb}]>' + part("w:hdr", p(r("&e11;"))), ""),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + part("w:hdr", p(r("&e;"))), ""),
        (b"\xff\xfe\x00garbage", ""),
    ):
        made = read(
            docx(
                p(r("BODY")),
                {"h.xml": header, "f.xml": part("w:ftr", p(r("FOOT")))},
                header="h.xml",
                footer="f.xml",
            ),
            "a.docx",
        )
        assert "partial" == made.state
        assert "word/h.xml" in (made.note or "")
        assert {"BODY", "FOOT"} <= set(made.text.split())
        assert kept in made.text
        assert "boom" not in made.text
        assert "root" not in made.text


def test_a_missing_part_costs_itself_alone() -> None:
    """A relationship that leads nowhere, none at all, names in other cases."""
    assert ["body"] == word(p(r("body")), None, header="nowhere.xml", image="http://x/y.png")
    bare = zipped({"word/document.xml": part("w:document", p(r("bare"))), "[content_types].xml": "<Types/>"})
    assert "bare\n" == extract(bare, filename="a.docx").text
    shouted = zipped(
        {
            "_RELS/.RELS": relations(officeDocument="/WORD/Document.XML"),
            "Word/document.xml": part("w:document", p(r("loud"))),
            "[CONTENT_TYPES].XML": "<Types/>",
        }
    )
    assert "loud\n" == extract(shouted, filename="a.docx").text


@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
def test_a_file_that_is_cut_off_gives_what_is_left(share: float) -> None:
    """A zip without its table of contents is read by its parts."""
    body = "".join(p(r(f"word{n} {n * 7919 % 1000003}")) for n in range(3000))
    whole = docx(body)
    made = read(whole[: int(len(whole) * share)], "a.docx")
    assert "partial" == made.state
    assert "cut off" in (made.note or "")
    assert 0.3 * len(body.split("word")) < made.text.count("word") <= 3000


def test_a_damaged_part_gives_what_is_before_the_damage() -> None:
    """A checksum that does not fit is a note."""
    body = "".join(p(r(f"word{n} {n * 7919 % 1000003}")) for n in range(3000))
    whole = bytearray(docx(body))
    middle = len(whole) // 2
    whole[middle : middle + 8] = b"\0" * 8
    made = read(bytes(whole), "a.docx")
    assert "partial" == made.state
    assert made.text.startswith("word0")


def test_an_encrypted_file_says_that_it_needs_a_password() -> None:
    """Office keeps an encrypted file in an OLE file with a stream of this name."""

    def entry(name: str) -> bytes:
        return (
            name.encode("utf-16-le").ljust(64, b"\0") + (2 * len(name) + 2).to_bytes(2, "little") + bytes(62)
        )

    header = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 504)
    header[30:32] = (9).to_bytes(2, "little")
    header[48:52] = bytes(4)
    found = bytes(header) + entry("Root Entry") + entry("EncryptedPackage") + bytes(256)
    for name in ("a.docx", "a.xlsx", "a.xls"):
        with pytest.raises(ExtractionError, match="needs a password"):
            extract(found, filename=name)


def test_absurd_spans_cost_nothing() -> None:
    """A cell that says it spans two thousand million columns is one cell."""
    cell = "<w:tcPr><w:gridSpan w:val='2000000000'/></w:tcPr>" + p(r("wide"))
    assert ["wide\tnext"] == word(table((cell, p(r("next")))))


def test_a_bomb_is_cut_at_the_bound_of_unpacked_bytes() -> None:
    """What comes before the bound is kept, and the cut is said."""
    body = p(r("first")) + f"<w:p>{' ' * 3_000_000}</w:p>" + p(r("last"))
    made = read(docx(body), "a.docx", limits=ExtractLimits(unpacked=1_000_000))
    assert ("partial", "cut at 1,000,000 bytes unpacked") == (made.state, made.note)
    assert made.text.startswith("first")


def test_opendocument_is_read() -> None:
    """Paragraphs, headings, tables, notes, comments, headers; not what tracked changes removed; repeats once."""
    body = (
        "<office:text><text:tracked-changes><text:changed-region><text:deletion><text:p>OLD</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes><text:h>Head</text:h><text:p>one<text:tab/>two<text:s text:c='5'/>"
        "<text:span>th</text:span>ree<text:line-break/>four<text:note><text:note-body><text:p>foot</text:p>"
        "</text:note-body></text:note></text:p><text:p><text:ruby><text:ruby-base>東京</text:ruby-base>"
        "<text:ruby-text>yomi</text:ruby-text></text:ruby></text:p><table:table><table:table-row>"
        "<table:table-cell table:number-columns-repeated='16384'/><table:table-cell><text:p>a</text:p></table:table-cell>"
        "<table:table-cell table:number-columns-repeated='9000'><text:p>b</text:p></table:table-cell></table:table-row>"
        "</table:table></office:text>"
    )  # fmt: skip
    styles = (
        "<office:document-styles NAMES><office:master-styles><style:master-page><style:header><text:p>top</text:p>"
        "</style:header></style:master-page></office:master-styles><text:p>style</text:p></office:document-styles>"
    )
    made = read(odt(body, parts={"styles.xml": styles}), "a.odt")
    assert "complete" == made.state
    assert ["Head", "one\ttwo three", "fourfoot", "東京", "a\tb", "top"] == [
        x for x in made.text.split("\n") if x
    ]
    assert "Head" in read(odt(body, "spreadsheet"), "a.ods").text
    assert "Head" in extract(odt(body), filename="x", content_type="application/octet-stream").text


def test_a_cell_s_value_stands_in_where_nothing_shows_it() -> None:
    """Some programs write OpenDocument's numbers, dates and texts as attributes alone."""
    values = ("value='42'", "date-value='2024-01-31'", "boolean-value='true'", "string-value='said'")
    cells = "".join(f"<table:table-cell office:{value}/>" for value in values)
    shown = "<table:table-cell office:value='0.5'><text:p>50 %</text:p></table:table-cell>"
    body = f"<office:spreadsheet><table:table><table:table-row>{cells}{shown}</table:table-row></table:table></office:spreadsheet>"
    assert "42\t2024-01-31\ttrue\tsaid\t50 %\n" == read(odt(body, "spreadsheet"), "a.ods").text


def test_an_encrypted_opendocument_says_so() -> None:
    """Its manifest names the encryption of each part."""
    found = odt("", parts={"META-INF/manifest.xml": "<m><manifest:encryption-data/></m>"})
    with pytest.raises(ExtractionError, match="needs a password"):
        extract(found, filename="a.odt")


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    """Chapters in other encodings, too; a chapter that is missing is said."""
    found = zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>',
            "OPS/book.opf": '<package><manifest><item id="a" href="a.xhtml"/><item id="b" href="b%20b.xhtml"/>'
            '<item id="c" href="c.xhtml"/></manifest><spine><itemref idref="b"/><itemref idref="a"/><itemref idref="c"/>'
            "</spine></package>",
            "OPS/a.xhtml": '<?xml version="1.0" encoding="iso-8859-1"?><html><p>zweites f\xfcr</p></html>'.encode(
                "latin-1"
            ),
            "OPS/b b.xhtml": "<html><head><title>T</title></head><body><p>first &amp; more</p></body></html>",
        }
    )
    made = extract(found, filename="a.epub")
    assert ["T", "first & more", "zweites für"] == [line for line in made.text.split("\n") if line]
    assert ("partial", "a part of the file could not be read: ops/c.xhtml is missing") == (
        made.state,
        made.note,
    )
