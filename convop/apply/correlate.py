"""The compiled loops of direct convolution: gather a block of lines into cache, correlate it there, scatter.

A line is a run of samples along the last axis; rows are lines that follow each other on the axis before it, planes
are taken from the axes before that. A block holds every line that some output rows read, extended past the edges of
the array and sorted by residue of the stride, so that every tap of it is one offset and every loop has step one.

Sums never meet samples that their taps do not read, not even with weight zero: NaN and inf stay where they belong.
Loops of nine or eight taps whose last ones are missing read a run of zeros instead.

Import this module inside functions: it loads numba.
"""

import numpy as np

from .compiled import compiled

SEGMENT = 4096  # bytes of sums to which all taps are added before the next ones


@compiled
def by_one(x, lines, edges, sizes, planes, targets, slots, offsets, columns, weight, y, start, stop):
    """y[b, g, o, target] = sum over c, tap of weight[g, o, c, tap] * extended x[b, g, c, source + tap], for tasks.

    Each row of outputs alone; or all rows of a block together, with what lies between two lines made for nothing.
    """
    (target_row, target_column), (height, _, pitch, _, _, plane, _, together) = sizes[2], sizes[3]
    own = target_column == 1 and not together  # sums are made where they belong
    (groups, c_out, c_in), channel = weight.shape[:3], planes[1].size * plane
    zeros, segment = c_in * channel, SEGMENT // x.itemsize
    block, sums = np.empty(zeros + segment, x.dtype), np.empty(height * pitch, x.dtype)
    block[zeros:] = 0
    for task in range(start, stop):
        batch, group, outer, row, column, rows, size = _place(task, groups, targets.size, sizes)
        for c in range(c_in):
            lines_of_c = block[c * channel : (c + 1) * channel]
            _gather(x[batch, group, c], lines, edges, sizes, planes, slots, outer, row, column, rows, lines_of_c)
        length, runs = ((rows - 1) * pitch + size, 1) if together else (size, rows)
        for o in range(c_out):
            into, at, apart = sums, 0, pitch
            if own:
                into, at, apart = y[batch, group, o], targets[outer] + row * target_row + column, target_row
            for run in range(runs):
                for first in range(0, length, segment):
                    here, base = at + run * apart + first, run * sizes[0][1] * pitch + first
                    out = into[here : here + min(segment, length - first)]
                    _set_taps(out, block, base, zeros, offsets[0], weight[group, o, 0])
                    for c in range(c_in):
                        _add_taps(
                            out, block, base + c * channel, zeros, offsets[0], weight[group, o, c],
                            0 if c else 9, offsets.shape[1],
                        )  # fmt: skip
            if not own:
                _scatter(sums, 0, y[batch, group, o], targets[outer], sizes, row, column, rows, size)


@compiled
def by_four(x, lines, edges, sizes, planes, targets, slots, offsets, columns, weight, padded, y, start, stop):
    """The same with four rows of outputs at once, so that a sample serves four taps: `row_step == row_gap`.

    The kernel's row `r - q` of output row `q` reads input row `r`. All four read input rows 3 to `kernel_rows - 1`;
    the three before and after are read by some, which take them alone. Every fourth line follows in memory, and every
    fourth row, so that the rows of a block are four runs.
    """
    kernel_rows, (height, _, pitch, _, area, plane, _, _) = sizes[0][3], sizes[3]
    (groups, c_out, c_in), channel, taps = weight.shape[:3], planes[1].size * plane, columns.size
    zeros, segment, apart = c_in * channel, SEGMENT // x.itemsize, -(-height // 4) * pitch
    block, sums = np.empty(zeros + segment, x.dtype), np.empty(4 * apart, x.dtype)
    block[:] = 0  # lines that no row reads too: rows up to a multiple of four are made, and left
    for task in range(start, stop):
        batch, group, outer, row, column, rows, size = _place(task, groups, targets.size, sizes)
        for c in range(c_in):
            lines_of_c = block[c * channel : (c + 1) * channel]
            _gather(x[batch, group, c], lines, edges, sizes, planes, slots, outer, row, column, rows, lines_of_c)
        length = (-(-rows // 4) - 1) * pitch + size
        for o in range(c_out):
            for first in range(0, length, segment):
                run = min(segment, length - first)
                for q in range(4):
                    sums[q * apart + first : q * apart + first + run] = 0
                for c in range(c_in):
                    w = weight[group, o, c]
                    for p in range(planes[1].size):
                        base, begin, end = c * channel + first, p * kernel_rows * taps, (p + 1) * kernel_rows * taps
                        for q in range(4):
                            out = sums[q * apart + first : q * apart + first + run]
                            for tap, last in ((begin, begin + (3 - q) * taps), (end - q * taps, end)):
                                _add_taps(out, block, base, zeros, offsets[q], w, tap, last)
                        base, v = base + p * plane, padded[group, o, c, p]
                        for r in range(3, kernel_rows):
                            _add_to_four(
                                sums, first, apart, run, block, base + r % 4 * area + r // 4 * pitch, zeros, columns,
                                v[r], v[r - 1], v[r - 2], v[r - 3],
                            )  # fmt: skip
            _scatter(sums, apart, y[batch, group, o], targets[outer], sizes, row, column, rows, size)


@compiled
def _place(task, groups, outers, sizes):
    """Which block of outputs a task is: batch, group, outer output, first row and column, rows and columns."""
    row_count, column_count, height, width = sizes[0][0], sizes[1], sizes[3][0], sizes[3][1]
    row_blocks, column_blocks = -(-row_count // height), -(-column_count // width)
    column, rest = task % column_blocks * width, task // column_blocks
    row, rest = rest % row_blocks * height, rest // row_blocks
    outer, rest = rest % outers, rest // outers
    rows, size = min(height, row_count - row), min(width, column_count - column)
    return rest // groups, rest % groups, outer, row, column, rows, size


@compiled
def _gather(x, lines, edges, sizes, planes, slots, outer, row, column, rows, block):
    """Fill the lines that `rows` rows of outputs read, from output `row`, `column` on, into `block`.

    Sample `step * (column + i) + residue` of an extended line goes to place `i` of the slot of its residue.
    """
    (_, row_step, row_gap, kernel_rows), (size, before), positions, step = sizes[0], edges[0], edges[1], slots.size
    _, _, pitch, phase, area, plane, ways, _ = sizes[3]
    gap = row_gap if ways > 1 else 1  # only lines that are read
    start = column * step
    edge, last_edge = np.searchsorted(positions, start), np.searchsorted(positions, start + phase * step)
    for residue in range(step):
        if slots[residue] < 0:
            continue
        ahead = before - start - residue  # where the array's first sample stands, relative to the first place
        first = min(max(-(-ahead // step), 0), phase)
        last = min(max(-(-(ahead + size) // step), first), phase)
        for tap in range(planes[1].size):
            line = planes[0][outer] + planes[1][tap] + row * row_step
            for number in range(((rows - 1) * row_step + (kernel_rows - 1) * row_gap) // gap + 1):
                if _is_read(number * gap, rows, row_step, row_gap, kernel_rows):
                    here = tap * plane + number % ways * area + number // ways * pitch + slots[residue] * phase
                    _gather_line(
                        x, lines, line + number * gap, edges, edge, last_edge, start, step, residue,
                        first, last, first * step - ahead, block[here : here + phase],
                    )  # fmt: skip


@compiled
def _is_read(number, rows, row_step, row_gap, kernel_rows):
    """Whether any of `rows` rows has a tap on this line."""
    if row_step == 1 and row_gap == 1:
        return True
    for tap in range(kernel_rows):
        ahead = number - tap * row_gap
        if ahead >= 0 and ahead % row_step == 0 and ahead // row_step < rows:
            return True
    return False


@compiled
def _gather_line(x, lines, line, edges, edge, last_edge, start, step, residue, first, last, begin, into):
    """One line: the array's own samples from `begin` on at places `first` to `last`, and what stands outside."""
    (starts, sources, factors), (_, positions, samples, weights) = lines, edges
    terms = starts[line + 1] - starts[line]
    if terms == 1 and step == 1 and factors[starts[line]] == 1:
        into[:first] = 0
        into[last:] = 0
        inside, own = into[first:last], x[sources[starts[line]] + begin :]
        for i in range(inside.size):
            inside[i] = own[i]
    else:
        into[:] = 0
        for term in range(starts[line], starts[line + 1]):
            for i in range(last - first):
                into[first + i] += factors[term] * x[sources[term] + begin + i * step]
    for term in range(starts[line], starts[line + 1]):
        for each in range(edge, last_edge):
            place = positions[each] - start
            if place % step == residue:
                into[place // step] += factors[term] * weights[each] * x[sources[term] + samples[each]]


@compiled
def _scatter(sums, apart, y, target, sizes, row, column, rows, size):
    """Write the sums of a block where they belong; `apart` is how far those of two of four rows are."""
    (target_row, target_column), pitch, ways = sizes[2], sizes[3][2], sizes[3][6]
    for r in range(rows):
        first, here = target + (row + r) * target_row + column * target_column, r % ways * apart + r // ways * pitch
        line = sums[here : here + size]
        if target_column == 1:  # a loop that the compiler makes a copy of vectors
            out = y[first : first + size]
            for i in range(size):
                out[i] = line[i]
        else:
            for i in range(size):
                y[first + i * target_column] = line[i]


@compiled
def _start(offsets, tap, last, base, zeros):
    return base + offsets[tap] if tap < last else zeros


@compiled
def _factor(weights, tap, last):
    return weights[tap] if tap < last else weights[0] - weights[0]  # a zero of their type


@compiled
def _set_taps(out, block, base, zeros, offsets, weights):
    """out[i] = the sum over the first nine taps (or all, if fewer) of weights[tap] * block[base + offsets[tap] + i]."""
    last = offsets.size
    x0, x1 = block[base + offsets[0] :], block[_start(offsets, 1, last, base, zeros) :]
    x2, x3 = block[_start(offsets, 2, last, base, zeros) :], block[_start(offsets, 3, last, base, zeros) :]
    x4, x5 = block[_start(offsets, 4, last, base, zeros) :], block[_start(offsets, 5, last, base, zeros) :]
    x6, x7 = block[_start(offsets, 6, last, base, zeros) :], block[_start(offsets, 7, last, base, zeros) :]
    x8 = block[_start(offsets, 8, last, base, zeros) :]
    w0, w1, w2 = weights[0], _factor(weights, 1, last), _factor(weights, 2, last)
    w3, w4, w5 = _factor(weights, 3, last), _factor(weights, 4, last), _factor(weights, 5, last)
    w6, w7, w8 = _factor(weights, 6, last), _factor(weights, 7, last), _factor(weights, 8, last)
    for i in range(out.size):
        out[i] = (
            w0 * x0[i] + w1 * x1[i] + w2 * x2[i] + w3 * x3[i] + w4 * x4[i]
            + w5 * x5[i] + w6 * x6[i] + w7 * x7[i] + w8 * x8[i]
        )  # fmt: skip


@compiled
def _add_taps(out, block, base, zeros, offsets, weights, tap, last):
    """out[i] += sum over taps `tap` to `last` of weights[tap] * block[base + offsets[tap] + i]."""
    while last - tap > 4:
        x0, x1 = block[base + offsets[tap] :], block[base + offsets[tap + 1] :]
        x2, x3 = block[base + offsets[tap + 2] :], block[base + offsets[tap + 3] :]
        x4 = block[base + offsets[tap + 4] :]
        x5 = block[_start(offsets, tap + 5, last, base, zeros) :]
        x6 = block[_start(offsets, tap + 6, last, base, zeros) :]
        x7 = block[_start(offsets, tap + 7, last, base, zeros) :]
        x8 = block[_start(offsets, tap + 8, last, base, zeros) :]
        w0, w1, w2, w3, w4 = weights[tap], weights[tap + 1], weights[tap + 2], weights[tap + 3], weights[tap + 4]
        w5, w6 = _factor(weights, tap + 5, last), _factor(weights, tap + 6, last)
        w7, w8 = _factor(weights, tap + 7, last), _factor(weights, tap + 8, last)
        for i in range(out.size):
            out[i] += (
                w0 * x0[i] + w1 * x1[i] + w2 * x2[i] + w3 * x3[i] + w4 * x4[i]
                + w5 * x5[i] + w6 * x6[i] + w7 * x7[i] + w8 * x8[i]
            )  # fmt: skip
        tap += 9
    if tap < last:
        x0, x1 = block[base + offsets[tap] :], block[_start(offsets, tap + 1, last, base, zeros) :]
        x2 = block[_start(offsets, tap + 2, last, base, zeros) :]
        x3 = block[_start(offsets, tap + 3, last, base, zeros) :]
        w0, w1 = weights[tap], _factor(weights, tap + 1, last)
        w2, w3 = _factor(weights, tap + 2, last), _factor(weights, tap + 3, last)
        for i in range(out.size):
            out[i] += w0 * x0[i] + w1 * x1[i] + w2 * x2[i] + w3 * x3[i]


@compiled
def _add_to_four(into, at, apart, size, block, base, zeros, columns, a, b, c, d):
    """Add the taps of one input row, weighted by a kernel row for each output row (padded with zeros)."""
    y0, y1 = into[at : at + size], into[at + apart : at + apart + size]
    y2, y3 = into[at + 2 * apart : at + 2 * apart + size], into[at + 3 * apart : at + 3 * apart + size]
    taps, tap = columns.size, 0
    while tap < taps:
        x0 = block[base + columns[tap] :]
        x1 = block[_start(columns, tap + 1, taps, base, zeros) :]
        x2 = block[_start(columns, tap + 2, taps, base, zeros) :]
        x3 = block[_start(columns, tap + 3, taps, base, zeros) :]
        a0, a1, a2, a3 = a[tap], a[tap + 1], a[tap + 2], a[tap + 3]
        b0, b1, b2, b3 = b[tap], b[tap + 1], b[tap + 2], b[tap + 3]
        c0, c1, c2, c3 = c[tap], c[tap + 1], c[tap + 2], c[tap + 3]
        d0, d1, d2, d3 = d[tap], d[tap + 1], d[tap + 2], d[tap + 3]
        if taps - tap <= 4:
            for i in range(y0.size):
                y0[i] += a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i]
                y1[i] += b0 * x0[i] + b1 * x1[i] + b2 * x2[i] + b3 * x3[i]
                y2[i] += c0 * x0[i] + c1 * x1[i] + c2 * x2[i] + c3 * x3[i]
                y3[i] += d0 * x0[i] + d1 * x1[i] + d2 * x2[i] + d3 * x3[i]
            return
        x4 = block[base + columns[tap + 4] :]
        x5 = block[_start(columns, tap + 5, taps, base, zeros) :]
        x6 = block[_start(columns, tap + 6, taps, base, zeros) :]
        x7 = block[_start(columns, tap + 7, taps, base, zeros) :]
        a4, a5, a6, a7 = a[tap + 4], a[tap + 5], a[tap + 6], a[tap + 7]
        b4, b5, b6, b7 = b[tap + 4], b[tap + 5], b[tap + 6], b[tap + 7]
        c4, c5, c6, c7 = c[tap + 4], c[tap + 5], c[tap + 6], c[tap + 7]
        d4, d5, d6, d7 = d[tap + 4], d[tap + 5], d[tap + 6], d[tap + 7]
        for i in range(y0.size):
            p0, p1, p2, p3, p4, p5, p6, p7 = x0[i], x1[i], x2[i], x3[i], x4[i], x5[i], x6[i], x7[i]
            y0[i] += a0 * p0 + a1 * p1 + a2 * p2 + a3 * p3 + a4 * p4 + a5 * p5 + a6 * p6 + a7 * p7
            y1[i] += b0 * p0 + b1 * p1 + b2 * p2 + b3 * p3 + b4 * p4 + b5 * p5 + b6 * p6 + b7 * p7
            y2[i] += c0 * p0 + c1 * p1 + c2 * p2 + c3 * p3 + c4 * p4 + c5 * p5 + c6 * p6 + c7 * p7
            y3[i] += d0 * p0 + d1 * p1 + d2 * p2 + d3 * p3 + d4 * p4 + d5 * p5 + d6 * p6 + d7 * p7
        tap += 8
