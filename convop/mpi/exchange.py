"""The messages of one apply: rows fetched from those who hold them, and what is added to them sent back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dtypes import Array
from .shares import Share, owners

TAG = 29251  # of our messages, apart from other people's on the same communicator


@dataclass(frozen=True)
class Travelling:
    """Messages on their way, and the arrays that they are received in and sent from."""

    requests: list[Any]
    received: Any
    sent: Any

    def arrived(self) -> Any:
        """Wait for all of them."""
        for request in self.requests:
            request.Wait()
        return self.received


class Exchange:
    """Between one rank and those whose rows it reads, or who read its rows. Rows are the first axis of all arrays."""

    def __init__(self, comm: Any, shares: Sequence[Share]) -> None:
        self.comm, rank = comm, comm.Get_rank()
        self.mine = shares[rank]
        stops = np.array([each.rows.stop for each in shares])
        self.from_others = owners(self.mine.halo, stops)
        # What others read of this rank's rows: they say so to nobody, everybody can tell.
        self.to_others = [
            (reader, each.halo[part] - self.mine.rows.start)
            for reader, each in enumerate(shares)
            for holder, part in owners(each.halo, stops)
            if holder == rank
        ]

    def fetch(self, x: Array) -> Travelling:
        """Start to bring the halo, from everybody's `x`; what arrives are its rows."""
        halo = np.empty((len(self.mine.halo), *x.shape[1:]), x.dtype)
        sent = [np.ascontiguousarray(x[rows]) for _, rows in self.to_others]
        requests = [self.comm.Irecv(halo[part], rank, TAG) for rank, part in self.from_others]
        requests += [self.comm.Isend(each, rank, TAG) for each, (rank, _) in zip(sent, self.to_others, strict=True)]
        return Travelling(requests, halo, sent)

    def give_back(self, halo: Array) -> Travelling:
        """The adjoint of `fetch`: start to send what belongs to others; what arrives is to be added (`add`)."""
        received = [np.empty((len(rows), *halo.shape[1:]), halo.dtype) for _, rows in self.to_others]
        requests = [self.comm.Irecv(each, rank, TAG) for each, (rank, _) in zip(received, self.to_others, strict=True)]
        requests += [self.comm.Isend(halo[part], rank, TAG) for rank, part in self.from_others]
        return Travelling(requests, received, halo)

    def add(self, received: Sequence[Array], x: Array) -> None:
        """Add what others gave back to the rows of `x`, in the order of their ranks."""
        for each, (_, rows) in zip(received, self.to_others, strict=True):
            x[rows] += each
