"""Measures the machine constants: for each a probe, of which the predicted time is made equal to the real one.

Costs are linear in each constant, so two predictions give the line, and one time the constant on it. Probes come in an
order in which each needs the constants before it only. All of them take about a second.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..dtypes import Array
from ..geometry import Geometry
from . import fft, machine, overlap_save, plan
from .machine import Constants

SECONDS = 0.1  # that each probe is repeated for; its fastest run counts
FACTOR = 30.0  # how far from the built-in constants a machine may be


@dataclass(frozen=True)
class Probe:
    """A constant, the work that shows it, and what that is predicted to cost, in ns."""

    constant: str
    run: Callable[[], Any]
    cost: Callable[[], float]


def measured() -> Constants:
    """The constants of this machine, as it is now."""
    found = Constants()
    for probe in _probes():
        found = replace(found, **{probe.constant: _solved(probe, found)})
    return found


def _solved(probe: Probe, known: Constants) -> float:
    """The value at which the predicted cost of a probe is the time it takes."""
    value = getattr(known, probe.constant)
    once, twice = (_predicted(probe, known, factor * value) for factor in (1, 2))
    slope = (twice - once) / value
    wanted = (_fastest(probe.run) - once) / slope + value
    return float(np.clip(wanted, value / FACTOR, value * FACTOR))


def _predicted(probe: Probe, known: Constants, value: float) -> float:
    with machine.assumed(replace(known, **{probe.constant: value})):
        return probe.cost()


def _fastest(run: Callable[[], Any]) -> float:
    """The shortest time in ns; what is prepared or compiled on the first call does not count."""
    run()
    times, end = [], time.perf_counter() + SECONDS
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return float(min(times))


def _probes() -> Iterator[Probe]:
    few, many, layer = _case((256, 256), 9), _case((1024, 1024), 31), _case((64, 64), 3, channels=16)
    yield _of_method("call", "direct", *_case((8, 8), 3))
    yield _of_method("multiply_add", "direct", *few)
    yield _of_method("product", "gemm", *layer)
    yield _of_prepared("transform", fft.Prepared(*_case((256, 256), 31)), fft.whole_cost)
    yield _of_prepared("far", fft.Prepared(*many), fft.whole_cost)
    yield _of_prepared("mix", fft.Prepared(*layer), fft.whole_cost)
    lengths = (96, 96)  # blocks so short that what each costs beside its transform shows
    yield _of_prepared("block", overlap_save.Prepared(*many, lengths), lambda g, w: fft.blocks_cost(g, w, lengths))
    yield _of_method("entry", "sparse", *few)


def _case(spatial: tuple[int, ...], taps: int, channels: int = 1) -> tuple[Geometry, Array]:
    """A float32 convolution with as many outputs as samples."""
    pads = tuple(((taps - 1) // 2, taps // 2) for _ in spatial)
    g = Geometry.make(spatial, (taps,) * len(spatial), padding=pads, channels=(channels, channels), lifted=channels > 1)
    return g, np.random.default_rng(0).standard_normal(g.weight_shape).astype(np.float32)


def _of_method(constant: str, name: str, g: Geometry, weight: Array) -> Probe:
    engine, x = plan.METHODS[name].engine, _signal(g)
    prepared = engine.prepare(g, weight)
    return Probe(constant, lambda: engine.forward(prepared, x), lambda: plan.costs(g, weight)[name])


def _of_prepared(constant: str, prepared: Any, cost: Any) -> Probe:
    x = _signal(prepared.geometry)
    return Probe(constant, lambda: fft.forward(prepared, x), lambda: cost(prepared.geometry, prepared.weight))


def _signal(g: Geometry) -> Array:
    return np.random.default_rng(1).standard_normal((1, g.channels_in, *g.spatial)).astype(np.float32)
