"""The card that tests of devices run on: a CUDA card where there is one, else a card made of software."""

from contextlib import contextmanager

import torch
from software_card import closed, software_card

CARD = torch.device("cuda:0") if torch.cuda.is_available() else software_card()
SIMULATED = CARD is not None and CARD.type != "cuda"
NEITHER = "no CUDA card, and torch is too old for one of software"


def thinned(values):
    """All of the values on a CUDA card; the first half on one of software, which is slower."""
    values = list(values)
    return values[: (len(values) + 1) // 2] if SIMULATED else values


@contextmanager
def without_waiting():
    """Refuse to move numbers between card and CPU, and to wait for the card."""
    if SIMULATED:
        with closed():
            yield
        return
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
