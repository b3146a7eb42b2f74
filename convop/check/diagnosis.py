"""The questions asked of an adjoint that failed, in order: what explains more comes first."""

from .channels import channels_swapped
from .displacements import displaced, scaled_too, unflipped
from .edges import boundary
from .entries import offending_entry, where, wrong_entries
from .finding import Finding
from .linearity import broken_law, explain_law
from .pairing import Pairing, real_if_close
from .vectors import is_complex


def not_linear(pairing: Pairing) -> Finding | None:
    """One of the two maps is not linear, so that no adjoint exists."""
    for direction, noise in zip((pairing.A, pairing.G), pairing.noise, strict=True):
        law = broken_law(direction, pairing.vectors, noise)
        if law is not None:
            return Finding("not_linear", explain_law(law, direction.name))
    return None


def missing_conjugate(pairing: Pairing) -> Finding | None:
    """G = A^T: <A x, y> = <x, conj(G conj(y))>."""
    if not is_complex(pairing.vectors.dtype):
        return None
    if not pairing.vanishes(lambda x, y: pairing.compare((x, y), (x, y), conjugated=True)):
        return None
    text = "the adjoint given is the transpose A^T, not A^H = conj(A^T): conjugate the kernel or the entries"
    return Finding("missing_conjugate", text)


def scaled(pairing: Pairing) -> Finding | None:
    """<x, G y> / <A x, y> is one constant."""
    factor = pairing.factor(lambda x, y: pairing.both((x, y), (x, y)))
    if factor is None:
        return None
    if not is_complex(pairing.vectors.dtype):
        return _scaled_by(factor.real)
    if abs(abs(factor) - 1) < 1e-3 and abs(factor.imag) > 1e-3:
        return _phase(factor)
    return _scaled_by(real_if_close(factor))


def _phase(factor: complex) -> Finding:
    text = (
        f"the adjoint is right but for the phase {factor:.4g}, as if c A had been given the adjoint c A^H: "
        "it is conj(c) A^H"
    )
    return Finding("missing_conjugate", text, factor=factor)


def _scaled_by(factor: complex | float) -> Finding:
    if factor == 0:
        return Finding("scaled", "the adjoint answers zero", factor=0.0)
    text = f"the adjoint seems to be scaled by {factor:.6g}: multiply it by {1 / factor:.6g}"
    return Finding("scaled", text, factor=factor)


def unknown(pairing: Pairing) -> Finding:
    """No known cause; still, one entry to look at."""
    entry = offending_entry(pairing)
    if entry is None:
        return Finding("unknown", "the adjoint is wrong in a way that fits none of the known causes")
    place = where(pairing, entry)
    text = (
        "the adjoint is wrong in many entries, in a way that fits none of the known causes. One of them: "
        f"output {place.output}, input {place.input}"
    )
    return Finding("unknown", text, place)


QUESTIONS = (
    not_linear, missing_conjugate, scaled, unflipped, wrong_entries, boundary, displaced, scaled_too, channels_swapped,
)  # fmt: skip


def diagnose(pairing: Pairing) -> Finding:
    """The first question that is answered with a finding."""
    found = (question(pairing) for question in QUESTIONS)
    return next((finding for finding in found if finding is not None), None) or unknown(pairing)
