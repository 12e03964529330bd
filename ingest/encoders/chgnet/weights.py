"""What the weights of CHGNet that its package carries were fitted to."""

from __future__ import annotations

MPTRJ = (
    "MPtrj: energies, forces, stresses and magnetic moments (PBE and PBE+U) of 1.6 million "
    "structures on the relaxation paths of 145,923 Materials Project compounds"
)
#: By the name of the weights, what they were fitted to.
TRAINED_ON = {
    "0.3.0": MPTRJ,
    "0.2.0": MPTRJ,
    "r2scan": f"{MPTRJ}; then the Materials Project's r2SCAN calculations",
}
