"""Compiled loops that write a convolution's matrix in compressed rows; `patterns` makes the tables that they read.

A line of rows is written run by run: the first row of a run from the kernel, the others as copies of it, moved on.
Lines of one kind that follow each other are copies as well. So most entries are copied from what the cache still
holds, and writing memory is what takes the time.

The weight of a row is found axis by axis: taps that a boundary folds onto one sample are added.
"""

import numpy as np

from .compiled import compiled

COPIED = 4096  # entries that are copied at a time, at most


@compiled
def _term(axes, axis, index, factor, position, term):
    """The sample of a term of what stands at an extended position, and its factor; nothing has factor zero."""
    at = axes[axis]
    if at.low <= position < at.high:
        return position - at.before, 1 if term == 0 else 0
    row = at.row + (position if position < at.low else position - (at.high - at.low))
    return index[row, term], factor[row, term]


@compiled
def _moved(axes, axis, index, factor, output):
    """Whether `output + 1` reads as `output` does, but for a shift; and the shift."""
    at, step, known = axes[axis], 0, False
    for number in range(at.taps):
        tap = number - 1 if number > 0 else at.taps - 1  # the ends differ most often: first the last, then the first
        position = output * at.stride + tap * at.dilation
        for term in range(index.shape[1]):
            here, weight = _term(axes, axis, index, factor, position, term)
            there, next_weight = _term(axes, axis, index, factor, position + at.stride, term)
            if weight != next_weight or (weight != 0 and known and there - here != step):
                return False, 0
            if weight != 0:
                known, step = True, there - here
    return True, step


@compiled
def split(axes, axis, index, factor, widths, runs):
    """Write the runs of an axis and return how many; `widths` are those of its outputs that read outside."""
    at = axes[axis]
    number = output = 0
    while output < at.outputs:
        run = runs[number]
        run.first = output
        if at.inside <= output < at.beyond:
            run.last, run.step, run.width = at.beyond, at.stride, at.taps
        else:
            edge = output if output < at.inside else output - (at.beyond - at.inside)
            limit = at.inside if output < at.inside else at.outputs
            run.last, run.step, run.width = output + 1, 0, widths[edge]
            while run.last < limit and widths[edge + run.last - output] == run.width:
                alike, step = _moved(axes, axis, index, factor, run.last - 1)
                if not alike or (run.last > output + 1 and step != run.step):
                    break
                run.last, run.step = run.last + 1, step
        output = run.last
        number += 1
    return number


@compiled
def _room(axes, index):
    """Room for what an output of any axis reads: five numbers for each term; a place and a mark for each sample."""
    terms = samples = 1
    for axis in range(len(axes)):
        terms, samples = max(terms, axes[axis].taps * index.shape[1]), max(samples, axes[axis].samples)
    places, marks, blocks = (
        np.empty(samples, np.int64),
        np.zeros(samples, np.bool_),
        np.zeros(samples // 64 + 1, np.bool_),
    )
    return np.empty((5, terms), np.int64), places, marks, blocks


@compiled
def _taps(at, output):
    """The taps through which an output reads samples of its own: from the first to before the last."""
    position = output * at.stride
    first = min(max(-((position - at.low) // at.dilation), 0), at.taps)
    return first, min(max(-((position - at.high) // at.dilation), first), at.taps)


@compiled
def _outside(index, factor, row, step, first, last, numbers, number):
    """Add what taps `first` to before `last` read, which is in rows `row + t * step`; how many terms there are then."""
    sample, tap, weight = numbers[0], numbers[1], numbers[2]
    for t in range(first, last):
        for term in range(index.shape[1]):
            times = factor[row + t * step, term]
            if times != 0:
                sample[number], tap[number], weight[number] = index[row + t * step, term], t, times
                number += 1
    return number


@compiled
def _read(axes, axis, index, factor, output, room):
    """Find what an output of an axis reads; how many terms, and how many samples.

    Term `e` is tap `tap[e]` times `weight[e]` on sample `sample[place[e]]`; samples ascend.
    """
    at, (numbers, places, marks, blocks) = axes[axis], room
    sample, tap, weight, place, column = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    own, beyond = _taps(at, output)
    step, row, start = at.dilation, at.row + output * at.stride, output * at.stride - at.before
    number = _outside(index, factor, row, step, 0, own, numbers, 0)
    for t in range(own, beyond):
        e = number + t - own
        sample[e], tap[e], weight[e] = start + t * step, t, 1
    number += beyond - own
    number = _outside(index, factor, row - (at.high - at.low), step, beyond, at.taps, numbers, number)
    ascending = True
    for e in range(1, number):
        ascending &= sample[e] > sample[e - 1]
    if ascending:
        for e in range(number):
            place[e] = e
        return number, number
    first = last = sample[0]
    for e in range(number):
        column[e] = sample[e]
        marks[column[e]] = blocks[column[e] >> 6] = True
        first, last = min(first, column[e]), max(last, column[e])
    width = 0
    for block in range(first >> 6, (last >> 6) + 1):
        if blocks[block]:
            blocks[block] = False
            for which in range(block * 64, min(block * 64 + 64, len(marks))):
                if marks[which]:
                    marks[which] = False
                    places[which], sample[width] = width, which
                    width += 1
    for e in range(number):
        place[e] = places[column[e]]
    return number, width


@compiled
def _contract(source, target, outer, inner, taps, width, number, room, signed):
    """From `(outer, taps, inner)` to `(outer, width, inner)`: taps become the samples that they read."""
    tap, weight, place = room[0][1], room[0][2], room[0][3]
    for a in range(outer):
        for entry in range(a * width * inner, (a + 1) * width * inner):
            target[entry] = 0
        for e in range(number):
            times = target.dtype.type(weight[e] if signed else abs(weight[e]))
            start, end = (a * taps + tap[e]) * inner, (a * width + place[e]) * inner
            for b in range(inner):
                target[end + b] += times * source[start + b]


@compiled
def _sizes(axes, runs, channels, taps, kind):
    """How many entries, and how many columns, `_line` holds at most on its way."""
    outer, inner, entries, columns = channels, taps, channels * taps, channels
    for axis in range(len(axes) - 1):
        at = axes[axis]
        outer *= runs[at.first_run + kind // at.period % at.runs].width
        inner //= at.taps
        entries, columns = max(entries, outer * inner), max(columns, outer)
    return entries, columns


@compiled
def _line(axes, runs, index, factor, kernel, channels, kind, room, signed):
    """For one kind of line: `kernel` of shape `(C_in, *taps)`, flat, with all axes but the last contracted.

    The result is of shape `(a, taps of the last axis)`, flat; with it comes an offset of columns for each `a`, and
    how many there are. With `signed` false, factors count by their size.
    """
    outer, inner = channels, kernel.size // channels
    entries, columns = _sizes(axes, runs, outer, inner, kind)
    source, target, offset = (
        np.empty(entries, kernel.dtype),
        np.empty(entries, kernel.dtype),
        np.empty(columns, np.int64),
    )
    for entry in range(kernel.size):
        source[entry] = kernel[entry]
    for channel in range(channels):
        offset[channel] = channel * axes[0].pitch * axes[0].samples
    for axis in range(len(axes) - 1):
        at = axes[axis]
        inner //= at.taps
        first = runs[at.first_run + kind // at.period % at.runs].first
        number, width = _read(axes, axis, index, factor, first, room)
        _contract(source, target, outer, inner, at.taps, width, number, room, signed)
        source, target = target, source
        for a in range(outer - 1, -1, -1):  # from the end: none is overwritten before it is read
            before = offset[a]
            for j in range(width - 1, -1, -1):
                offset[a * width + j] = before + room[0][0, j] * at.pitch
        outer *= width
    return source, offset, outer


@compiled
def _fold(line, start, width, number, room, signed, target):
    """`_contract` of the last axis, for the taps that begin at `start`."""
    tap, weight, place = room[0][1], room[0][2], room[0][3]
    for j in range(width):
        target[j] = 0
    for e in range(number):
        times = target.dtype.type(weight[e] if signed else abs(weight[e]))
        target[place[e]] += times * line[start + tap[e]]


@compiled
def _any(values, first, last):
    for entry in range(first, last):  # noqa: SIM110 - as a loop it is compiled in no time
        if values[entry] != 0:
            return True
    return False


@compiled
def count(axes, runs, index, factor, present, channels, counts, first, last):
    """Entries of a row for each kind of line and run of the last axis; `present` is 0 where a tap's weight is."""
    room, end = _room(axes, index), axes[len(axes) - 1]
    mark = np.empty(room[0].shape[1], present.dtype)
    leading = len(counts) // len(present)
    for kind in range(first, last):
        line, _, outer = _line(axes, runs, index, factor, present[kind // leading], channels, kind, room, False)
        for which in range(counts.shape[1]):
            number, width = _read(axes, len(axes) - 1, index, factor, runs[end.first_run + which].first, room)
            entries = 0
            for a in range(outer):
                if _any(line, a * end.taps, (a + 1) * end.taps):
                    _fold(line, a * end.taps, width, number, room, False, mark)
                    for j in range(width):
                        entries += mark[j] != 0
            counts[kind, which] = entries


@compiled
def _repeat(indices, data, first, size, copies, step):
    """Write `copies` more of `size` entries after them, each with columns `step` after those of the one before."""
    written = 1
    while written <= copies:
        number = min(written, copies + 1 - written, max(COPIED // max(size, 1), 1))
        target, moved = first + written * size, number * step
        source = target - number * size
        for entry in range(number * size):
            data[target + entry] = data[source + entry]
        for entry in range(number * size):
            indices[target + entry] = indices[source + entry] + moved
        written += number


@compiled
def _row(line, there, offset, outer, holes, taps, width, number, room, base, marks, indices, data, target):
    """Write one row from `target` on: the last axis contracted; only where a tap is, if there are holes."""
    sample, value, mark = room[0][0], marks[0], marks[1]
    for a in range(outer):
        if holes and not _any(there, a * taps, (a + 1) * taps):
            continue
        _fold(line, a * taps, width, number, room, True, value)
        if holes:
            _fold(there, a * taps, width, number, room, False, mark)
        for j in range(width):
            if not holes or mark[j] != 0:
                indices[target], data[target] = base + offset[a] + sample[j], value[j]
                target += 1


@compiled
def _alike(kinds, bases, number, last):
    """How many lines after `number` and before `last` are of its kind, each as many columns after the one before."""
    copies = 0
    while (
        number + copies + 1 < last
        and kinds[number + copies + 1] == kinds[number]
        and bases[number + copies + 1] - bases[number + copies] == bases[number + 1] - bases[number]
    ):
        copies += 1
    return copies


@compiled
def fill(
    axes, runs, index, factor, weights, channels, kinds, bases, counts, starts, pieces, indptr, indices, data,
    first, last,
):  # fmt: skip
    """Write tasks `first` to before `last` of the matrix: a task is a piece of a line, and there are `pieces` in each.

    Line `l` starts at entry `starts[l]`, is of kind `kinds[l]`, and its columns are `bases[l]` after those of the
    first line of its kind. `weights` are the weight, `(C_out, C_in * taps)`, and, where some taps have none, ones and
    zeros like it.
    """
    axis, room, holes = len(axes) - 1, _room(axes, index), len(weights) > 1
    end, task, known = axes[axis], first, -1
    marks = np.empty((2, room[0].shape[1]), weights.dtype)
    line = there = np.empty(0, weights.dtype)
    offset, outer, leading = np.empty(0, np.int64), 0, len(counts) // weights.shape[1]
    while task < last:
        number, piece = task // pieces, task % pieces
        kind, target = kinds[number], starts[number]
        if kind != known:
            known = kind
            for layer in range(len(weights) - 1, -1, -1):
                there, kernel = line, weights[layer, kind // leading]
                line, offset, outer = _line(axes, runs, index, factor, kernel, channels, kind, room, layer == 0)
        begin, stop = end.outputs * piece // pieces, end.outputs * (piece + 1) // pieces
        for which in range(end.runs):
            run, size = runs[end.first_run + which], counts[kind, which]
            target += max(min(run.last, begin) - run.first, 0) * size
            own, others = max(run.first, begin), min(run.last, stop)
            if own < others:
                terms, width = _read(axes, axis, index, factor, own, room)
                _row(
                    line, there, offset, outer, holes, end.taps, width, terms, room, bases[number], marks,
                    indices, data, target,
                )  # fmt: skip
                _repeat(indices, data, target, size, others - own - 1, run.step)
                for output in range(own, others):
                    target += size
                    indptr[number * end.outputs + output + 1] = target
        task += 1
        if pieces == 1:
            copies = _alike(kinds, bases, number, last)
            size, rows = target - starts[number], number * end.outputs
            _repeat(indices, data, starts[number], size, copies, bases[min(number + 1, last - 1)] - bases[number])
            for row in range(rows + 1, rows + 1 + copies * end.outputs):
                indptr[row + end.outputs] = indptr[row] + size
            task += copies
