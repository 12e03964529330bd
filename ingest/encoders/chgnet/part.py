"""CHGNet as a part: the weights come with its package."""

from __future__ import annotations

from featurestore.plugins import Request, Setting
from ingest.encoders.base import EncoderPart, StructureEncoder
from ingest.encoders.chgnet.weights import MPTRJ, TRAINED_ON
from ingest.encoders.settings import device


def _make(request: Request) -> StructureEncoder:
    from ingest.encoders.chgnet.encoder import chgnet_encoder

    return chgnet_encoder(request)


CHGNET = EncoderPart(
    name="chgnet",
    kind="structure",
    summary="Crystal and site features of CHGNet, a universal interatomic potential.",
    make=_make,
    packages=("chgnet",),
    trained_on=MPTRJ,
    licence="modified BSD (CHGNet, code and weights)",
    install="pip install 'materials-featurestore[chgnet]'",
    settings=(
        Setting("model", str, "0.3.0", "Which of its weights.", choices=tuple(TRAINED_ON)),
        device(identity=False),
    ),
)
