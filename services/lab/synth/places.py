"""Names of people, places and things: invented combinations, several countries."""

from __future__ import annotations

from typing import Final

FIRST: Final = (
    "Anna", "Mateusz", "Ingrid", "Luca", "Chloé", "Tom", "Sofia", "Jürgen", "Aisha", "Pavel", "Maria", "Björn", "Zeynep", "Owen", "Fatima",
    "Henrik", "Giulia", "Piotr", "Amélie", "Dev", "Katarzyna", "Noah", "Elif", "Stefan", "Yuki", "Marta", "Samuel", "Lena", "Omar", "Grace",
)  # fmt: skip
LAST: Final = (
    "Nowak", "Lindqvist", "Rossi", "Dubois", "Keller", "Okafor", "Svensson", "Müller", "Kowalska", "Haddad", "Novák", "Bianchi", "Fischer",
    "Jensen", "Moreau", "Demir", "Patel", "O'Connor", "Wagner", "Costa", "Virtanen", "Schmid", "Horváth", "Lopez", "Baker", "Huber",
)  # fmt: skip
CITY: Final = (
    "Leipzig", "Kraków", "Gent", "Malmö", "Bologna", "Lyon", "Leeds", "Graz", "Porto", "Brno", "Aarhus", "Zürich", "Utrecht", "Sevilla",
    "Dresden", "Wrocław", "Nantes", "Bristol", "Linz", "Turin", "Uppsala", "Basel", "Ostrava", "Cork", "Kassel", "Nice", "Glasgow",
)  # fmt: skip
STREET: Final = (
    "Mill Lane",
    "Station Road",
    "Lindenallee",
    "Rue de la Gare",
    "Via Roma",
    "Hauptstraße",
    "High Street",
    "ul. Długa",
    "Kungsgatan",
)
CAR: Final = ("Golf", "Octavia", "Clio", "Fiesta", "Corolla", "Astra", "Polo", "Yaris", "Panda", "Passat", "Model 3", "V60", "delivery van")
DEVICE: Final = ("phone", "laptop", "tablet", "camera", "smart watch", "headphones", "game console", "e-reader")
ROOM: Final = ("kitchen", "bathroom", "cellar", "living room", "bedroom", "hallway", "utility room", "attic")
