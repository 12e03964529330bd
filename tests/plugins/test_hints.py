"""A part's settings are in the command that makes what is missing, also where no run tells them."""

from __future__ import annotations

from pathlib import Path

from featurestore.catalogue import Encoder
from featurestore.commands import encoding_command
from featurestore.plugins import Part, Setting, parse_settings
from featurestore.store import FeatureStore

PART = Part(
    name="toy",
    summary="A toy.",
    make=lambda request: request,
    settings=(
        Setting("depth", int, None, "How deep."),
        Setting("sorted", bool, False, "Whether sorted."),
        Setting("label", str, "a", "A label."),
        Setting("device", str, "cpu", "Where.", identity=False),
    ),
)


def test_settings_come_from_the_fingerprint_where_no_run_made_the_encoder(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path / "store", create=True)
    made = PART.build({"sorted": True, "label": "b c", "device": "cuda"})
    encoder = Encoder(
        encoder_id="toy_0123456789",
        name="toy",
        kind="structure",
        dimension=1,
        segments=(("all", 0, 1),),
        fingerprint=made.fingerprint,
    )
    with store.session() as session:
        command = encoding_command(session, encoder)
    assert command[:5] == ("featurestore", "ingest", "embeddings", "--encoder", "toy")
    given = [word for word in command[5:] if word != "--set"]
    assert PART.build(parse_settings(PART, given)).fingerprint == made.fingerprint
