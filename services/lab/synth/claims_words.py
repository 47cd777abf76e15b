"""Sentences of claimants, by cause and by what lies behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.lab.synth.places import CAR, CITY, DEVICE, FIRST, ROOM, STREET

SLOTS: Final[Mapping[str, Sequence[str]]] = {
    "car": CAR,
    "city": CITY,
    "street": STREET,
    "device": DEVICE,
    "room": ROOM,
    "name": FIRST,
    "when": (
        "yesterday",
        "on Saturday",
        "last night",
        "this morning",
        "on the way to work",
        "two days ago",
        "during the holidays",
        "around 5 pm",
    ),
    "greeting": ("", "", "", "Hello, ", "Dear team, ", "Hi, ", "To whom it may concern, ", "Good morning, "),
    "shop": ("the garage", "the workshop", "our usual garage", "the dealer", "the repair shop"),
    "airline": ("the airline", "the carrier", "the tour operator"),
}

OPENING: Final[Mapping[str, Sequence[str]]] = {
    "collision": (
        "{greeting}{when} another car touched my {car} while parking at {street} in {city}.",
        "{greeting}I hit a bollard with my {car} in {city} {when}.",
        "{greeting}Someone ran into the back of my {car} at a red light in {city}.",
        "{greeting}my {car} slid on wet leaves and touched the guard rail near {city}.",
    ),
    "glass": (
        "{greeting}a stone hit the windscreen of my {car} on the motorway near {city}.",
        "{greeting}crack in the windshield of the {car}, noticed {when}.",
        "{greeting}the rear window of my {car} shattered {when} in {city}.",
    ),
    "animal": (
        "{greeting}a deer ran in front of my {car} {when} close to {city}.",
        "{greeting}a marten has bitten the cables of my {car}.",
        "{greeting}I hit a wild boar with the {car} near {city}.",
    ),
    "vandalism": (
        "{greeting}somebody scratched my {car} in {street} {when}.",
        "{greeting}the mirror of my {car} was kicked off {when} in {city}.",
        "{greeting}graffiti was sprayed on our front door in {street}.",
    ),
    "theft": (
        "{greeting}my {device} was stolen from the train to {city} {when}.",
        "{greeting}my bicycle was taken from the locked shed at {street}.",
        "{greeting}burglars came in through the {room} window {when} and took a {device}.",
    ),
    "fire": (
        "{greeting}a pan caught fire in the {room} {when}.",
        "{greeting}the dryer in the {room} burned out and blackened the wall.",
        "{greeting}a candle set the curtain in the {room} on fire.",
    ),
    "water": (
        "{greeting}the hose of the washing machine burst and the {room} floor is wet.",
        "{greeting}water came through the ceiling of the {room} {when}.",
        "{greeting}a pipe leaked behind the wall in the {room}.",
    ),
    "storm": (
        "{greeting}the storm took some tiles off the roof in {city} {when}.",
        "{greeting}hail has dented the {car} parked in {street}.",
        "{greeting}a branch fell on our fence {when}.",
    ),
    "baggage": (
        "{greeting}my suitcase did not arrive in {city} and {airline} says it is lost.",
        "{greeting}the suitcase came back broken from the flight to {city}.",
    ),
    "cancellation": (
        "{greeting}I had to cancel the trip to {city} because {name} fell ill.",
        "{greeting}{airline} moved our flight to {city} and we could not travel.",
    ),
    "breakage": (
        "{greeting}I dropped my {device} and the screen is broken.",
        "{greeting}coffee was spilled over my {device} {when}.",
        "{greeting}my {device} fell from the table in the {room}.",
    ),
    "liability": (
        "{greeting}my daughter broke the neighbour's window with a ball {when}.",
        "{greeting}our dog knocked over the {device} of a visitor.",
    ),
    "other": ("{greeting}something happened to my property in {city} {when}.", "{greeting}I would like to report damage at {street}."),
}

NEUTRAL: Final = (
    "Please let me know what you need from me.",
    "I attach photos.",
    "You can reach me by phone in the evening.",
    "It happened in {city}.",
    "I have been your customer for years.",
    "This is really annoying.",
    "I was on my way to {name}.",
    "Thank you for your help.",
    "My account details have not changed.",
    "The weather was bad.",
)
CLEAR: Final = (
    "I attach the invoice of {shop} and four photos.",
    "{shop} has sent the estimate, nothing else is damaged.",
    "The other driver has admitted it in writing and his insurer is known.",
    "The receipt and the serial number are attached.",
    "The repair is finished and paid, the bill is enclosed.",
    "The police report number is in the attachment.",
    "The plumber has fixed it the same day, bill attached.",
    "Written confirmation of {airline} is enclosed.",
    "The doctor's certificate and the booking are attached.",
    "Only the glass was replaced, receipt enclosed.",
)
COMPLEX: Final = (
    "The other driver says it was my fault and will not give his details.",
    "There was older damage at the same place from last year.",
    "I do not know yet what the repair will cost.",
    "The wall is still wet and it may get worse.",
    "My tenant and the landlord disagree about who has to pay.",
    "The {car} was used for deliveries that day.",
    "Several neighbours are affected as well.",
    "A lawyer of the other side has written to me.",
    "The expert of {shop} thinks that the frame is bent.",
    "The house was empty for three months when it happened.",
    "I am not the owner, it belongs to {name}.",
    "It is not clear whether the warranty still covers it.",
)
SUSPICIOUS: Final = (
    "I paid cash and have no receipt any more.",
    "I threw the broken parts away before taking photos.",
    "I need the money this week, please do not call the witness.",
    "The only witness is my cousin {name} who also sold it to me.",
    "Sorry, the date in my first letter was wrong, it was another day.",
    "I had put it up for sale a few days before.",
    "Both keys were in the {car}.",
    "The camera was switched off that night.",
    "I have already reported the same thing to another insurer.",
)
