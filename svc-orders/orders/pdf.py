"""Invoices and credit notes as PDF, from what the order holds; the same order and language give the same bytes.

Embedded, as far as they are used: Noto Sans for Latin, Greek and Cyrillic, and the part of Noto Sans SC in `fonts/` (both OFL)
for Chinese, simplified and the commoner half of traditional, and kana. Rarer characters and Korean use a standard font of
PDF that readers bring themselves. Other scripts show as empty boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import as_file, files
from io import BytesIO
from itertools import groupby
from xml.sax.saxutils import escape

from django.conf import settings
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from orders.invoice_texts import Words
from orders.models import Order, OrderLine, Refund
from shared_lib.money import Money

_FONT, _CHINESE, _STANDARD = "NotoSans", "NotoSansSC", "STSong-Light"
_WIDTHS = (82 * mm, 18 * mm, 26 * mm, 24 * mm, 26 * mm)


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    quantity: str
    unit_price: str
    discount: str
    total: str


def invoice(order: Order, lines: Iterable[OrderLine], *, at: datetime, words: Words) -> bytes:
    """`at`: when the order was confirmed, which is the date of the invoice."""
    rows = [
        _Row(
            f"{line.name} ({line.sku})",
            str(line.quantity),
            _money(line.unit_price_amount, order),
            _money(-line.discount_amount, order) if line.discount_amount else "",
            _money(line.line_total_amount - line.discount_amount, order),
        )
        for line in lines
    ]
    sums = [(words.subtotal, order.subtotal_amount)]
    if order.discount_amount:
        sums.append((words.discount, -order.discount_amount))
    sums.append((words.shipping.format(name=order.shipping_method_name), order.shipping_amount))
    if order.tax_amount:
        sums.append((words.tax, order.tax_amount))
    sums.append((words.total, order.total_amount))
    if order.tax_included_amount:
        sums.append((words.of_which_tax, order.tax_included_amount))
    return _document(words, words.invoice, f"INV-{order.number}", order, at, rows, sums)


def credit_note(order: Order, refund: Refund, *, at: datetime, words: Words) -> bytes:
    """What of the order was paid back by one refund; its share of the order's tax is that of the amount, rounded down."""
    rows = [
        _Row(f"{row.line.name} ({row.line.sku})", str(row.quantity), "", "", _money(row.amount, order))
        for row in refund.lines.all()
    ] or [_Row(words.refund, "", "", "", _money(refund.amount, order))]
    tax = order.tax_amount + order.tax_included_amount
    sums = [(words.total_credited, refund.amount)]
    if tax and order.total_amount:
        sums.append((words.of_which_tax, refund.amount * tax // order.total_amount))
    number = f"CN-{order.number}-{str(refund.id)[-6:].upper()}"
    return _document(words, words.credit_note, number, order, at, rows, sums)


def _document(
    words: Words,
    title: str,
    number: str,
    order: Order,
    at: datetime,
    rows: Sequence[_Row],
    sums: Sequence[tuple[str, int]],
) -> bytes:
    out = BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        title=f"{title} {number}",
        author=settings.INVOICE_ISSUER.splitlines()[0],
        leftMargin=17 * mm,
        rightMargin=17 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        lang=words.code,
        invariant=1,
    )
    small, heading = _style(9), _style(16)
    address = order.shipping_address
    place = " ".join(part for part in (address.get("postal_code"), address.get("city")) if part)
    recipient = [
        address.get("full_name"),
        address.get("line1"),
        address.get("line2"),
        place,
        address.get("region"),
        address.get("country"),
    ]
    facts = [
        f"{words.number}: {number}",
        f"{words.date}: {at:%Y-%m-%d}",
        words.order.format(number=order.number, date=f"{order.created_at:%Y-%m-%d}"),
    ]
    story: list[Flowable] = [
        _text("\n".join(settings.INVOICE_ISSUER.splitlines()), small),
        Spacer(1, 10 * mm),
        _text("\n".join(part for part in recipient if part), small),
        Spacer(1, 10 * mm),
        _text(title, heading),
        Spacer(1, 4 * mm),
        _text("\n".join(facts), small),
        Spacer(1, 6 * mm),
        _table(rows, words),
        Spacer(1, 4 * mm),
        _sums(sums, order),
    ]
    document.build(story)
    return out.getvalue()


def _table(rows: Sequence[_Row], words: Words) -> Table:
    left, right = _style(8), _style(8, right=True)
    head = [
        _text(name, left if index == 0 else right)
        for index, name in enumerate(
            (words.item, words.quantity, words.unit_price, words.discount, words.amount)
        )
    ]
    body = [
        [
            _text(row.name, left),
            *(_text(cell, right) for cell in (row.quantity, row.unit_price, row.discount, row.total)),
        ]
        for row in rows
    ]
    table = Table([head, *body], colWidths=_WIDTHS, repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.black),
                ("LINEBELOW", (0, 1), (-1, -1), 0.25, colors.lightgrey),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    return table


def _sums(sums: Sequence[tuple[str, int]], order: Order) -> Table:
    right = _style(9, right=True)
    rows = [[_text(name, right), _text(_money(amount, order), right)] for name, amount in sums]
    return Table(rows, colWidths=(sum(_WIDTHS[:-1]), _WIDTHS[-1]))


@cache
def _characters() -> dict[str, frozenset[int]]:
    """Registers the fonts; what each of the embedded ones has, the first choice first."""
    folder = files("fontpkg_noto_sans").joinpath("files")
    [latin] = [entry for entry in folder.iterdir() if "Italic" not in entry.name]
    found = {}
    for name, entry in (
        (_FONT, latin),
        (_CHINESE, files("orders").joinpath("fonts", "NotoSansSC-subset.ttf")),
    ):
        with as_file(entry) as path:
            font = TTFont(name, str(path))
        pdfmetrics.registerFont(font)
        found[name] = frozenset(font.face.charToGlyph)
    pdfmetrics.registerFont(UnicodeCIDFont(_STANDARD))
    return found


@cache
def font_of(character: str) -> str:
    """The font that draws a character: an embedded one that has it, else the standard one."""
    fonts = (name for name, known in _characters().items() if ord(character) in known or character == "\n")
    return next(fonts, _STANDARD)


def _style(size: int, *, right: bool = False) -> ParagraphStyle:
    return ParagraphStyle(
        "text", fontName=_FONT, fontSize=size, leading=size * 1.35, alignment=2 if right else 0, wordWrap=None
    )


def _text(text: str, style: ParagraphStyle) -> Paragraph:
    """A paragraph whose characters each come from a font that has them."""
    _characters()
    text = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
    runs = []
    for font, characters in groupby(text, key=font_of):
        run = escape("".join(characters)).replace("\n", "<br/>")
        runs.append(run if font == _FONT else f'<font name="{font}">{run}</font>')
    return Paragraph("".join(runs), style)


def _money(amount: int, order: Order) -> str:
    return Money(amount, order.currency).format()
