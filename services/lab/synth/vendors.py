"""Vendors and what they sell: invented, with tax identifiers and bank accounts that pass the checks of their country."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.lab.synth.places import CITY, LAST

# Country: standard VAT rate, currency, length of the numeric part of the IBAN, VAT id from digits.
_COUNTRIES: Final[Mapping[str, tuple[int, str, int, str]]] = {
    "DE": (19, "EUR", 18, "DE#########"),
    "AT": (20, "EUR", 16, "ATU########"),
    "NL": (21, "EUR", 14, "NL#########B01"),
    "FR": (20, "EUR", 23, "FR###########"),
    "PL": (23, "PLN", 24, "PL##########"),
    "SE": (25, "SEK", 20, "SE##########01"),
    "IT": (22, "EUR", 23, "IT###########"),
}
_FORMS: Final = {"DE": "GmbH", "AT": "GmbH", "NL": "B.V.", "FR": "SARL", "PL": "sp. z o.o.", "SE": "AB", "IT": "S.r.l."}

GOODS: Final[Mapping[str, Sequence[tuple[str, float]]]] = {
    "Software": (
        ("Cloud hosting, monthly", 240),
        ("Software licence, 12 months", 890),
        ("Softwarelizenz Jahresabo", 640),
        ("Support subscription", 150),
    ),
    "Telecom": (("Mobile phone plan", 39), ("Broadband internet line", 79), ("Mobilfunkvertrag Monatsgebühr", 45)),
    "Logistics": (("Freight, one pallet", 120), ("Courier delivery", 24), ("Lieferkosten", 12), ("International shipping", 310)),
    "Office": (
        ("Copy paper A4, box", 32),
        ("Toner cartridge black", 85),
        ("Desk chair", 230),
        ("Tastatur Deutsch", 48),
        ("Monitor 27 inch", 280),
    ),
    "Services": (("Consulting, per hour", 130), ("Machine maintenance", 420), ("Office cleaning, monthly", 560), ("Training day", 980)),
    "Energy": (("Electricity, base price", 60), ("Electricity consumption kWh", 0.31), ("Fernwärme Arbeitspreis", 0.12)),
    "Print": (("Advertising banner", 190), ("Trade fair booth", 2400), ("Flyer print run", 340)),
    "Travel": (("Hotel night", 118), ("Train ticket", 67), ("Taxi", 28)),
}
# Lines that make an accountant ask, although everything adds up.
DOUBTFUL: Final = (
    ("Late payment fee", 40),
    ("Gift vouchers", 250),
    ("Deposit as discussed", 1800),
    ("Price adjustment retroactive", 320),
    ("Miscellaneous services", 1200),
    ("Cancellation charge", 450),
    ("Directory entry, renewal", 790),
    ("Reminder charge", 25),
    ("Private use, bar and minibar", 85),
    ("Additional hours without timesheet", 1100),
)


@dataclass(frozen=True, slots=True)
class Vendor:
    name: str
    country: str
    vat_id: str
    iban: str
    currency: str
    rate: int
    trade: str
    prefix: str


def iban(country: str, digits: str) -> str:
    """With check digits by ISO 7064 MOD 97-10."""
    letters = "".join(str(int(letter, 36)) for letter in country)
    check = 98 - int(f"{digits}{letters}00") % 97
    return f"{country}{check:02d}{digits}"


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def account(rng: random.Random, country: str) -> str:
    length = _COUNTRIES[country][2]
    if country == "NL":  # four letters of the bank come first
        return _with_bank_letters(rng, country)
    return iban(country, _digits(rng, length))


def _with_bank_letters(rng: random.Random, country: str) -> str:
    bank, digits = "INGB", _digits(rng, 10)
    numeric = "".join(str(int(character, 36)) for character in f"{bank}{digits}{country}00")
    return f"{country}{98 - int(numeric) % 97:02d}{bank}{digits}"


def vendor(rng: random.Random) -> Vendor:
    country = rng.choices(tuple(_COUNTRIES), (8, 2, 2, 2, 3, 2, 1))[0]
    rate, currency, _, pattern = _COUNTRIES[country]
    trade = rng.choice(tuple(GOODS))
    vat_id = "".join(rng.choice("0123456789") if c == "#" else c for c in pattern)
    name = f"{rng.choice(LAST)} {trade} {rng.choice(CITY)} {_FORMS[country]}"
    prefix = rng.choice(("R", "INV", "RE-2026-", "FV/", "F", "2026/"))
    return Vendor(name, country, vat_id, account(rng, country), currency, rate, trade, prefix)


def foreign_account(rng: random.Random, home: str) -> str:
    return account(rng, rng.choice([country for country in _COUNTRIES if country != home]))
