"""Pictures: each against a baseline that shows it (without its words, whose fonts differ), and what is drawn in it.

`python tests/test_plot.py` draws the baselines anew; look at them before you keep them.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import convop
from convop import plot
from convop.errors import GeometryError, ShapeError
from convop.plot import sampled_rows
from convop.plot.matrix import _density

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib.testing.compare import compare_images  # noqa: E402
from matplotlib.testing.decorators import remove_ticks_and_titles  # noqa: E402

BASELINE = Path(__file__).parent / "baseline"
TOLERANCE = 3.0  # root mean square of 255; a blank picture is further away, see below


def values(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


motion = convop.psf.motion(7, angle=30)
blur = convop.Convolution(motion, (12, 14), boundary="symmetric")
layer = convop.conv_layer(values((3, 2, 3, 3)), (2, 6, 6), padding=1)
large = convop.Convolution(np.ones((5, 5)), (1000, 1000))
product = convop.Convolution(values((5, 5)), (300, 400)) @ convop.Convolution(values((3, 3), 1), (300, 400))
strip = convop.Convolution(values(5), 300, boundary="replicate") @ convop.Convolution(
    values(5, 1), 300, boundary="mirror"
)
smooth = convop.Convolution(convop.psf.gaussian((9,), sigma=2), 200, boundary="symmetric")
data = smooth((np.arange(200) > 80) * 1.0) + 0.01 * values(200)
scene = np.zeros((40, 60))
scene[10:25, 20:45] = 1
scene[30:33] = 0.5
disk = convop.Convolution(convop.psf.disk(3), (40, 60), boundary="symmetric")
around = convop.Convolution(convop.psf.motion(9, angle=30), (64, 48), boundary="periodic")
three = [convop.Convolution(convop.psf.disk(2), (15, 16), boundary=name) for name in ("zero", "periodic", "symmetric")]

PICTURES = {
    "spy_values": lambda: plot.spy(blur, values=True),
    "spy_channels": lambda: plot.spy(layer),
    "spy_million": lambda: plot.spy(large),
    "spy_product": lambda: plot.spy(product),
    "spy_stack": lambda: plot.spy(convop.gradient((9, 12))),
    "kernel": lambda: plot.kernel(motion),
    "kernel_complex_1d": lambda: plot.kernel([1.0, 2 + 1j, -1.0]),
    "kernel_signed": lambda: plot.kernel(layer, channels=(1, 1)),
    "row_corner": lambda: plot.row(disk, (1, 2)),
    "row_right": lambda: plot.row(disk, (20, -2)),
    "row_1d": lambda: plot.row(convop.Convolution(np.arange(1.0, 10.0), 30, boundary="antireflective"), 1),
    "symbol_1d": lambda: plot.symbol(convop.Convolution(np.ones(5) / 5, 64, boundary="periodic")),
    "symbol_periodic": lambda: plot.symbol(around),
    "symbol_symmetric": lambda: plot.symbol(disk),
    "singular_values": lambda: plot.singular_values(*three, labels=["zero", "periodic", "symmetric"]),
    "lcurve": lambda: plot.lcurve(smooth, data, noise=0.01),
    "gcv": lambda: plot.gcv(smooth, data, noise=0.01),
    "picard": lambda: plot.picard(smooth, data, noise=0.01),
    "panels": lambda: plot.panels({"sharp": scene, "blurred": disk(scene), "in colour": np.dstack([scene] * 3)}),
    "explain": lambda: plot.explain(product),
    "explain_1d": lambda: plot.explain(strip),
}


def wordless(ax):
    """The figure without anything that is set in a font."""
    figure = ax.figure
    for each in figure.axes:
        if each.get_legend() is not None:
            each.get_legend().remove()
        for text in each.texts:
            text.set_text("")
        each.set_title("", loc="left")
        each.set(xlabel="", ylabel="")
    remove_ticks_and_titles(figure)
    return figure


def save(ax, path):
    wordless(ax).savefig(path, dpi=60, metadata={"Software": None})


# The constrained layout of older releases leaves other margins: the same pictures, a few pixels away.
@pytest.mark.skipif(
    matplotlib.__version_info__[:2] < (3, 11), reason="the baselines have the margins of matplotlib 3.11"
)
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_as_they_were(name, tmp_path):
    save(PICTURES[name](), tmp_path / f"{name}.png")
    assert compare_images(BASELINE / f"{name}.png", tmp_path / f"{name}.png", TOLERANCE) is None


@pytest.mark.parametrize("name", PICTURES)
def test_a_blank_picture_would_be_seen(name, tmp_path):
    """The baseline itself differs from axes with nothing in them by more than the tolerance."""
    figure = PICTURES[name]().figure
    for ax in figure.axes:
        for artist in [*ax.images, *ax.lines, *ax.collections, *ax.patches]:
            artist.remove()
    wordless(figure.axes[0]).savefig(tmp_path / "blank.png", dpi=60)
    assert compare_images(BASELINE / f"{name}.png", tmp_path / "blank.png", TOLERANCE) is not None


@pytest.mark.parametrize("name", PICTURES)
def test_words_do_not_overlap(name):
    """Titles, labels, ticks and legends: none is cut off by the edge of the figure, and no two cross."""
    figure = PICTURES[name]().figure
    figure.canvas.draw()
    renderer, boxes = figure.canvas.get_renderer(), []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            boxes += [tick.label1 for tick in ticks] + [tick.label2 for tick in ticks] + [axis.label]
        boxes += [ax.title, ax._left_title, *ax.texts]
    # A tick's label may stand closer to its neighbours than a pixel.
    drawn = [(text.get_text(), text.get_window_extent(renderer)) for text in boxes]
    drawn = [(text, box) for text, box in drawn if text and box.width > 0]
    hidden = not figure.axes[0].axison
    drawn = [(t, b) for t, b in drawn if not hidden or t in ("sharp", "blurred", "in colour")]
    assert drawn
    for number, (text, box) in enumerate(drawn):
        assert box.x0 > -2, text
        assert box.x1 < figure.bbox.x1 + 2, text
        assert box.y1 < figure.bbox.y1 + 2, text
        for other, second in drawn[number + 1 :]:
            crossing = min(box.x1, second.x1) - max(box.x0, second.x0), min(box.y1, second.y1) - max(box.y0, second.y0)
            assert min(crossing) < 2, (text, other)


@pytest.mark.parametrize("name", ["spy", "kernel", "row", "symbol", "panels", "explain"])
def test_axes_that_are_given_are_drawn_into(name):
    from matplotlib.figure import Figure

    mine = Figure().subplots()
    argument = {"panels": {"a": scene}, "explain": strip, "symbol": around, "kernel": motion}.get(name, blur)
    assert getattr(plot, name)(argument, ax=mine) is mine
    assert mine.images or mine.lines


# What is drawn.


@pytest.mark.parametrize(
    "A",
    [
        convop.Convolution(values((3, 4)), (9, 11), boundary="mirror", stride=2, dilation=(1, 2)),
        convop.Convolution(values((3, 4)), (9, 11), boundary=("periodic", ("zero", "antireflective"))),
        convop.conv_layer(values((4, 3, 3, 2)), (6, 5, 7), groups=2, padding=((1, 0), (2, 1)), boundary="replicate"),
        blur @ convop.Diagonal(values((12, 14))),
        blur @ convop.Convolution(values((3, 2)), (12, 14), boundary="mirror"),
        blur + convop.Convolution(values((3, 2)), (12, 14), boundary="mirror"),
        2 * (blur.H @ blur),
        convop.gradient((9, 11)),
        convop.vstack([convop.Select(30, [1, 5]), convop.Convolution(values(3), 30)]),
        convop.as_circulant(convop.Convolution(values((3, 2)), (4, 5), boundary="periodic")),
        convop.as_operator(forward=np.cumsum, adjoint=lambda y: np.cumsum(y[::-1])[::-1], in_shape=20, out_shape=20),
    ],
    ids=repr,
)
def test_rows_that_are_looked_at_are_those_of_the_matrix(A, monkeypatch):
    """By each of the ways that large operators take, against the dense matrix."""
    monkeypatch.setattr(sampled_rows, "SMALL", 0)
    wanted = np.unique(np.linspace(0, A.shape[0] - 1, 17).astype(np.int64))
    row, column = sampled_rows.entries(A, wanted)
    got = np.zeros((len(wanted), A.shape[1]), bool)
    got[row, column] = True
    np.testing.assert_array_equal(got, np.abs(A.toarray()[wanted]) > 1e-13)


def test_spy_of_a_small_matrix_is_exact():
    drawn = _density(blur, 400)
    np.testing.assert_array_equal(np.isfinite(drawn), blur.toarray() != 0)


def test_spy_assembles_nothing_large(monkeypatch):
    def fail(*_):
        raise AssertionError("a large matrix was assembled")

    monkeypatch.setattr(convop.Convolution, "_csr", fail)
    monkeypatch.setattr(sampled_rows, "SMALL", 0)
    for A in (large, product, large + large.H):
        drawn = np.isfinite(_density(A, 400))
        assert drawn.shape == (400, 400)
        assert drawn.diagonal().all()
        assert drawn.sum() < 6000
        assert drawn.any(axis=1).all()


def test_spy_of_what_is_known_by_its_action():
    A = convop.as_operator(forward=lambda x: x[::-1], adjoint=lambda y: y[::-1], in_shape=3000, out_shape=3000)
    drawn = np.isfinite(_density(A, 400))
    assert drawn.any(axis=1).all()
    assert drawn[:, ::-1].sum() == drawn.sum() == 200


def test_a_row_is_that_of_the_matrix():
    A = convop.Convolution(values((3, 4)), (7, 8), boundary="mirror")
    shown = plot.row(A, (0, 0)).images[0].get_array()
    dense = A.toarray()[0].reshape(7, 8)
    np.testing.assert_allclose(shown, dense[: shown.shape[0], : shown.shape[1]], atol=1e-12)
    assert not dense[shown.shape[0] :].any()


def test_the_symbol_is_that_of_the_transform():
    ax = plot.symbol(around)
    impulse = np.zeros(around.in_shape)
    impulse[0, 0] = 1
    want = np.abs(np.fft.fftshift(np.fft.fft2(around(impulse))))
    np.testing.assert_allclose(ax.images[0].get_array(), want, atol=1e-12)


def test_singular_values_are_those_of_numpy():
    A = convop.Convolution(values((3, 4)), (7, 8), boundary="mirror")
    np.testing.assert_allclose(
        plot.singular_values(A).lines[0].get_ydata(),
        np.linalg.svd(A.toarray(), compute_uv=False),
        rtol=1e-9,
        atol=1e-12,
    )


def test_the_lcurve_is_that_of_dense_solutions():
    A, b = smooth.toarray(), data
    xs, ys = plot.lcurve(smooth, data).lines[0].get_data()
    ax = plot.gcv(smooth, data)
    alphas, scores = ax.lines[0].get_data()
    for place in range(0, len(alphas), 12):
        gram = A.T @ A + alphas[place] * np.eye(200)
        influence = A @ np.linalg.solve(gram, A.T)
        left = b - influence @ b
        want = 200 * (left @ left) / (200 - np.trace(influence)) ** 2
        assert scores[place] == pytest.approx(want, rel=1e-3)
    assert (np.diff(xs) < 0).all()
    assert (np.diff(ys) > 0).all()
    marked = convop.solve(smooth, data, alpha="lcurve")
    at = plot.lcurve(smooth, data).lines[1].get_data()
    assert float(at[1][0]) == pytest.approx(np.linalg.norm(marked.x), rel=1e-2)


def test_picard_is_that_of_the_dense_decomposition():
    u, s, _ = np.linalg.svd(smooth.toarray())
    lines = {line.get_label(): line.get_ydata() for line in plot.picard(smooth, data, noise=0.01).lines}
    np.testing.assert_allclose(lines["singular value s"], s, rtol=1e-6, atol=1e-9)
    dots = plot.picard(smooth, data).lines[0].get_ydata()
    np.testing.assert_allclose(dots[:40], np.abs(u.T @ data)[:40], rtol=1e-4, atol=1e-8)


def test_curves_of_operators_without_a_closed_form(monkeypatch):
    monkeypatch.setattr("convop.solving.parameter.spectra.SMALL", 10)
    A = convop.Convolution(np.triu(np.ones((3, 3))) / 6, (9, 10), boundary="mirror")
    b = A(np.add.outer(np.sin(np.arange(9) / 3), np.arange(10) > 5)) + 0.05 * values((9, 10))
    ax = plot.lcurve(A, b, regularizer="gradient")
    assert len(ax.lines[0].get_xdata()) == 13
    assert ax.get_ylabel() == "||L x||"


def test_panels_share_one_scale():
    images = plot.panels({"a": scene, "b": scene + 0.5}).images
    np.testing.assert_allclose(images[0].get_array(), scene)
    np.testing.assert_allclose(images[1].get_array(), np.clip(scene + 0.5, 0, 1))


@pytest.mark.parametrize("axes", [(8, 9), (60, 9), (60, 70)])
def test_explain_draws_the_rows_that_differ(axes):
    A, B = convop.Convolution(values((3, 3)), axes), convop.Convolution(values((3, 2), 1), axes)
    ax = plot.explain(A @ B)
    mask = convop.explain(A @ B).seams[0].rows
    drawn = np.ma.filled(np.ma.masked_invalid(ax.images[0].get_array()), 0)
    if max(axes) < 40:
        np.testing.assert_array_equal(drawn, mask)
    assert drawn.any()
    for place in ("x", "y"):
        ticks = [text.get_text() for text in getattr(ax, f"get_{place}ticklabels")()]
        assert ticks[0] == "0"
        assert ticks[-1] in (str(axes[place == "x"] - 1), str(axes[place == "x"] - 1 - axes[place == "x"] % 2))
    assert f"{int(mask.sum()):,} of" in ax.get_title("left")


crooked = convop.Convolution(np.triu(np.ones((3, 3))), (40, 40))
weighted = convop.Diagonal(values(5)) @ convop.Convolution([1.0, 2.0], 5)


@pytest.mark.parametrize(
    ("draw", "error", "said"),
    [
        (lambda: plot.explain(disk @ disk), GeometryError, "there is no seam"),
        (lambda: plot.explain(strip, seam=3), GeometryError, "seam 3"),
        (lambda: plot.explain(weighted), GeometryError, "not known"),
        (lambda: plot.spy(blur, pixels=0), GeometryError, "pixels"),
        (lambda: plot.symbol(blur.H @ blur @ convop.Diagonal(values((12, 14)))), GeometryError, "no symbol"),
        (lambda: plot.row(blur, 3), ShapeError, "one index for each axis"),
        (lambda: plot.row(blur, (12, 0)), ShapeError, "one index for each axis"),
        (lambda: plot.row(layer, channel=2), ShapeError, "2 channels"),
        (lambda: plot.kernel(layer, channels=(3, 0)), GeometryError, "channels"),
        (lambda: plot.kernel(strip), GeometryError, "no one kernel"),
        (lambda: plot.kernel([]), GeometryError, "taps"),
        (lambda: plot.panels({}), ShapeError, "at least"),
        (lambda: plot.panels({"a": np.ones(3)}), ShapeError, "panel 'a'"),
        (plot.singular_values, GeometryError, "give operators"),
        (lambda: plot.singular_values(blur, labels=["a", "b"]), GeometryError, "as many labels"),
        (lambda: plot.lcurve(smooth, np.ones((2, 200))), ShapeError, "one item"),
        (lambda: plot.picard(crooked, np.ones((40, 40))), GeometryError, "singular vectors"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_says_why(draw, error, said):
    with pytest.raises(error, match=said):
        draw()


def test_sparse_matrices_and_pylops_are_drawn_too():
    import pylops

    assert plot.spy(scipy.sparse.eye_array(30)).get_title() == "30 x 30, 30 entries"
    assert plot.spy(pylops.FirstDerivative(30)).get_title() == "30 x 30"


if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        save(PICTURES[name](), BASELINE / f"{name}.png")
        matplotlib.pyplot.close("all")
    print(f"{len(PICTURES)} pictures in {BASELINE}")
