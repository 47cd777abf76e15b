"""Reads an e-invoice document safely: bounded, no entities, no DTD, no network."""

from __future__ import annotations

from typing import Final

from lxml import etree

from shared.automations.invoices import cii, ubl
from shared.automations.invoices.invoice import Invoice

MAX_BYTES: Final = 1_000_000


class UnreadableDocument(Exception):
    """The document is not an invoice that can be read; ``reason`` says why, as a code. Kept as a finding about the document."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _parser() -> etree.XMLParser:
    # A parser per document: lxml parsers are not re-entrant, and one that met a broken document keeps its error log.
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        dtd_validation=False,
        remove_comments=True,
        remove_pis=True,
    )


def _parse(document: str) -> etree._Element:
    # Bytes, because lxml refuses text with an encoding declaration. The declaration of a text is about the file it came from.
    content = document.lstrip("\ufeff \t\r\n")
    if content.startswith("<?xml"):
        content = content[content.find("?>") + 2 :]
    try:
        encoded = content.encode()
    except UnicodeEncodeError:
        raise UnreadableDocument("unreadable_document") from None
    if len(encoded) > MAX_BYTES:
        raise UnreadableDocument("document_too_large")
    try:
        root = etree.fromstring(encoded, _parser())
    except (etree.XMLSyntaxError, ValueError):
        raise UnreadableDocument("unreadable_document") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableDocument("document_type_declaration")
    return root


def read(document: str) -> Invoice:
    """The invoice in a UBL 2.1 Invoice or CreditNote, or a UN/CEFACT CrossIndustryInvoice (D16B).

    Raises:
        UnreadableDocument: not well-formed, too large, with a document type declaration, or of another syntax.
    """
    root = _parse(document)
    if root.tag in ubl.ROOTS:
        return ubl.invoice(root)
    if root.tag == cii.ROOT:
        return cii.invoice(root)
    raise UnreadableDocument("unsupported_document")
