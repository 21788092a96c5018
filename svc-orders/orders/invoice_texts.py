"""The words of invoices and credit notes, language by language; a test compares their fields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """`order` has the fields `number` and `date`, `shipping` has `name`."""

    code: str
    invoice: str
    credit_note: str
    number: str
    date: str
    order: str
    item: str
    quantity: str
    unit_price: str
    discount: str
    amount: str
    subtotal: str
    shipping: str
    tax: str
    total: str
    of_which_tax: str
    refund: str
    total_credited: str


ENGLISH = Words(
    code="en",
    invoice="Invoice",
    credit_note="Credit note",
    number="Number",
    date="Date",
    order="Order {number} of {date}",
    item="Item",
    quantity="Quantity",
    unit_price="Unit price",
    discount="Discount",
    amount="Amount",
    subtotal="Subtotal",
    shipping="Shipping: {name}",
    tax="Tax",
    total="Total",
    of_which_tax="of which tax",
    refund="Refund",
    total_credited="Total credited",
)

GERMAN = Words(
    code="de",
    invoice="Rechnung",
    # "Gutschrift" is another document in German tax law.
    credit_note="Rechnungskorrektur",
    number="Nummer",
    date="Datum",
    order="Bestellung {number} vom {date}",
    item="Artikel",
    quantity="Menge",
    unit_price="Einzelpreis",
    discount="Rabatt",
    amount="Betrag",
    subtotal="Zwischensumme",
    shipping="Versand: {name}",
    tax="Umsatzsteuer",
    total="Gesamtbetrag",
    of_which_tax="darin enthaltene Umsatzsteuer",
    refund="Erstattung",
    total_credited="Erstattungsbetrag",
)

CHINESE = Words(
    code="zh",
    invoice="发票",
    credit_note="退款单",
    number="编号",
    date="日期",
    order="订单 {number} · {date}",
    item="商品",
    quantity="数量",
    unit_price="单价",
    discount="折扣",
    amount="金额",
    subtotal="小计",
    shipping="运费: {name}",
    tax="税费",
    total="合计",
    of_which_tax="其中税费",
    refund="退款",
    total_credited="退款合计",
)

_LANGUAGES = {words.code: words for words in (ENGLISH, GERMAN, CHINESE)}


def words_in(language: str) -> Words:
    """Those of a tag such as `de-AT` or `zh-hans`; English for what is not spoken here."""
    return _LANGUAGES.get(language.replace("_", "-").partition("-")[0].lower(), ENGLISH)
