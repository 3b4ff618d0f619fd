"""A small PDF of one page, for an invoice."""

from sandbox.stripe.html import money
from sandbox.stripe.store import Obj


def invoice_pdf(invoice: Obj) -> bytes:
    """The invoice as PDF 1.4."""
    currency = invoice["currency"]
    words = [
        f"Invoice {invoice['number']}",
        f"{invoice['account_name']} to {invoice['customer_name'] or invoice['customer_email'] or invoice['customer']}",
        "",
        *(f"{line['description']}: {money(line['amount'], currency)}" for line in invoice["lines"]["data"]),
        "",
        f"Tax: {money(sum(one['amount'] for one in invoice['total_taxes']), currency)}",
        f"Total: {money(invoice['total'], currency)}",
        f"Due: {money(invoice['amount_due'], currency)} ({invoice['status']})",
    ]
    return pdf(words)


def pdf(words: list[str]) -> bytes:
    """Lines of text on one page of A4."""
    shown = "".join(f"({_escaped(line)}) Tj T* " for line in words)
    stream = f"BT /F1 12 Tf 16 TL 60 780 Td {shown}ET".encode("cp1252", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R"
        b" /Resources << /Font << /F1 4 0 R >> >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    found, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(found))
        found += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(found))
    return found + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
