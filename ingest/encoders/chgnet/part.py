"""CHGNet as a part: the weights come with its package."""

from __future__ import annotations

from featurestore.plugins import Request, Setting
from ingest.encoders.base import EncoderPart, StructureEncoder
from ingest.encoders.settings import device

_MPTRJ = (
    "MPtrj: energies, forces, stresses and magnetic moments (PBE and PBE+U) of 1.6 million "
    "structures on the relaxation paths of 145,923 Materials Project compounds"
)
#: By the name of the weights, what they were fitted to.
TRAINED_ON = {
    "0.3.0": _MPTRJ,
    "0.2.0": _MPTRJ,
    "r2scan": f"{_MPTRJ}; then the Materials Project's r2SCAN calculations",
}


def _make(request: Request) -> StructureEncoder:
    from ingest.encoders.chgnet.encoder import chgnet_encoder

    return chgnet_encoder(request)


CHGNET = EncoderPart(
    name="chgnet",
    kind="structure",
    summary="Crystal and site features of CHGNet, a universal interatomic potential.",
    make=_make,
    packages=("chgnet",),
    trained_on=_MPTRJ,
    licence="modified BSD (CHGNet, code and weights)",
    install="pip install 'materials-featurestore[chgnet]'",
    settings=(
        Setting("model", str, "0.3.0", "Which of its weights.", choices=tuple(TRAINED_ON)),
        device(identity=False),
    ),
)
