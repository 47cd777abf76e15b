"""The conformance features and specification examples of CloudEvents that are about receiving over HTTP."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import pytest
import yaml

from services.gateway.media import read
from shared.errors import Malformed, UnsupportedMedia
from shared.events.envelope import Event
from shared.events.parse import batch, binary, structured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CORE = ("id", "source", "type", "subject", "datacontenttype", "dataschema")


@pytest.fixture(scope="module")
def spec(public_data: Path) -> Path:
    return public_data / "cloudevents-spec" / "cloudevents"


@pytest.fixture(scope="module")
def schema(spec: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((spec / "formats" / "cloudevents.json").read_text())
    return found


def _scenarios(feature: str) -> Iterator[tuple[dict[str, str], bytes, dict[str, str], object]]:
    """(headers, body, expected attributes, expected data) of every example of every scenario."""
    for scenario in feature.split("Scenario Outline:")[1:]:
        for example in re.findall(r"^ *\| (\S.*?) *\|$", scenario.split("Examples:")[1], re.MULTILINE)[1:]:
            text = scenario.split("Examples:")[0].replace("<contentType>", example)
            request, data = (part.strip("\n") for part in re.findall(r'"""\n(.*?)\n *"""', text, re.DOTALL))
            head, _, body = re.sub(r"(?m)^ {8}", "", request).partition("\n\n")
            headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
            table = re.findall(r"^ *\| +(\S+) +\| (.*?) +\|$", text.split("attributes are:")[1], re.MULTILINE)
            yield headers, body.encode(), {key: value for key, value in table if key != "key"}, json.loads(data)


def _attributes(event: Event) -> dict[str, object]:
    found = {name: getattr(event, name) for name in CORE} | dict(event.extensions)
    found["time"] = event.time.isoformat().replace("+00:00", "Z") if event.time else None
    return {"specversion": "1.0"} | {name: value for name, value in found.items() if value is not None}


def test_every_feature_of_the_http_binding_is_received(public_data: Path) -> None:
    feature = (public_data / "cloudevents-conformance" / "features" / "http-protocol-binding.feature").read_text()
    scenarios = list(_scenarios(feature))
    assert len(scenarios) == 4
    for headers, body, attributes, data in scenarios:
        event = read(headers, body)
        assert isinstance(event, Event)
        assert _attributes(event) == attributes
        assert event.data == data


def _yaml_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Events of version 1.0 that carry a body."""
    for path in sorted([*folder.glob("yaml/**/*.yaml"), *folder.glob("pkg/diff/**/*.yaml")]):
        for event in yaml.load_all(path.read_text(), yaml.BaseLoader):  # every scalar as text: 1.0 is no number here
            if event["ContextAttributes"].get("specversion") == "1.0":
                yield event


def _as_binary(event: dict[str, Any]) -> Event:
    attributes = dict(event["ContextAttributes"])
    extensions = attributes.pop("Extensions", {})
    media_type = attributes.pop("datacontenttype", "application/json")
    # As the binding encodes: space, quote, percent and whatever is not printable ASCII.
    sent = {f"ce-{name}": _percent_encoded(value.strip()) for name, value in {**attributes, **extensions}.items()}
    return binary({**sent, "Content-Type": media_type, **event.get("TransportExtensions", {})}, event["Data"].strip().encode())


def _as_structured(event: dict[str, Any]) -> Event:
    attributes = dict(event["ContextAttributes"])
    extensions = {name: value.strip() for name, value in attributes.pop("Extensions", {}).items()}
    is_json = "json" in attributes.get("datacontenttype", "application/json")
    data = json.loads(event["Data"]) if is_json else event["Data"].strip()
    return structured(orjson.dumps({**attributes, **extensions, "data": data}))


def _percent_encoded(value: str) -> str:
    return "".join(c if "!" <= c <= "~" and c not in '"%' else "".join(f"%{byte:02X}" for byte in c.encode()) for c in value)


def test_every_event_of_version_1_is_the_same_in_both_modes(public_data: Path, schema: dict[str, Any]) -> None:
    events = list(_yaml_events(public_data / "cloudevents-conformance"))
    assert len(events) >= 20
    for event in events:
        if "source" not in event["ContextAttributes"]:  # one of the data set's events lacks it
            with pytest.raises(Malformed):
                _as_structured(event)
            continue
        one, two = _as_binary(event), _as_structured(event)
        assert one == two
        assert one.id == event["ContextAttributes"]["id"]
        jsonschema.validate(json.loads(one.canonical()), schema)
        assert structured(one.canonical()).canonical() == one.canonical()


def test_events_of_older_versions_are_refused(public_data: Path) -> None:
    for path in public_data.glob("cloudevents-conformance/yaml/**/*.yaml"):
        for event in yaml.load_all(path.read_text(), yaml.BaseLoader):
            if event["ContextAttributes"]["specversion"] != "1.0":
                with pytest.raises(Malformed):
                    _as_structured(event)


def _json_examples(document: Path) -> list[Any]:
    """JSON documents in a specification; ellipses of the prose are filled in."""
    blocks = re.findall(r"```json\n(.*?)```", document.read_text(), re.DOTALL | re.IGNORECASE)
    found = []
    for block in blocks:
        text = block.replace("... base64 encoded string ...", "AAEC").replace("...", "")
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return found


def test_every_example_of_the_json_format_is_read_or_refused_for_its_binary_content(spec: Path) -> None:
    examples = [example for path in ("formats/json-format.md", "spec.md") for example in _json_examples(spec / path)]
    events = [event for example in examples for event in (example if isinstance(example, list) else [example]) if "specversion" in event]
    assert len(events) >= 8
    for event in events:
        if "data_base64" in event:
            with pytest.raises((UnsupportedMedia, Malformed)):
                structured(orjson.dumps(event))
        else:
            assert structured(orjson.dumps(event)).data == event.get("data")


def test_every_batch_of_the_json_format_is_read(spec: Path) -> None:
    batches = [example for example in _json_examples(spec / "formats" / "json-format.md") if isinstance(example, list)]
    assert [] in batches
    for example in batches:
        readable = [event for event in example if "data_base64" not in event]
        assert [event.id for event in batch(orjson.dumps(readable))] == [event["id"] for event in readable]


def _http_examples(document: Path) -> Iterator[tuple[dict[str, str], bytes]]:
    """Requests in the HTTP binding."""
    for block in re.findall(r"```text\n(.*?)```", document.read_text(), re.DOTALL):
        if block.startswith(("POST", "PUT")):
            head, _, body = block.partition("\n\n")
            yield dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line), body.encode()


def test_the_requests_of_the_http_binding_are_recognised(spec: Path) -> None:
    requests = list(_http_examples(spec / "bindings" / "http-protocol-binding.md"))
    assert requests
    for headers, _ in requests:
        media_type = headers["Content-Type"].partition(";")[0]
        body = orjson.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"})
        read(headers, b"[" + body + b"]" if "batch" in media_type else body)


def test_what_we_write_follows_the_published_schema(schema: dict[str, Any]) -> None:
    event = Event(id="1", source="/s", type="t", subject="x", data={"a": [1, "é"]}, extensions={"flag": True, "n": 1})
    jsonschema.validate(json.loads(event.canonical()), schema)
