"""What a notebook shows: HTML that parses, with real thumbnails, escaped, small, and without matplotlib."""

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from cases import CASES

import convop
from convop.notebook import colours, png

imageio = pytest.importorskip("imageio.v3")


class Reader(HTMLParser):
    """Tags that open and close in turn, and the words between them."""

    def __init__(self):
        super().__init__()
        self.open, self.images, self.words = [], [], ""

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def read(A):
    reader = Reader()
    reader.feed(A._repr_html_())
    reader.close()
    assert reader.open == []
    return reader


def pixels(image):
    return imageio.imread(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])), extension=".png")


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_every_operator_shows_itself(case):
    shown = read(case.operator)
    assert str(case.operator).splitlines()[0] in shown.words
    assert f"matrix {case.operator.shape[0]:,} x {case.operator.shape[1]:,}" in shown.words
    assert len(case.operator._repr_html_()) < 20_000
    assert all(pixels(image).ndim == 3 for image in shown.images)


def test_the_thumbnail_is_the_kernel():
    kernel = np.array([[0.0, 1.0, -2.0], [2.0, 0.0, 0.5]])
    (image,) = read(convop.Convolution(kernel, (5, 6))).images
    got = pixels(image).astype(int)
    assert got.shape == (2, 3, 3)
    assert image["alt"] == "kernel 2 x 3"
    assert (got[0, 0] == 247).all()
    assert tuple(got[1, 0]) == (103, 0, 31)
    assert tuple(got[0, 2]) == (5, 48, 97)
    np.testing.assert_array_equal(got, colours(kernel))


def test_operators_made_of_others_show_several():
    A = convop.Convolution(np.eye(3), (9, 8), boundary="mirror")
    B = convop.Convolution(np.triu(np.ones((4, 4))), (9, 8), boundary="replicate")
    assert [image["alt"] for image in read(A @ B).images] == ["kernel 3 x 3", "kernel 4 x 4"]
    assert len(read(convop.conv_layer(np.ones((9, 2, 3, 3)), (2, 5, 5))).images) == 4
    assert len(read(convop.as_toeplitz(convop.Convolution([1.0, 2.0], 5))).images) == 1
    assert len(read(A.H).images) == 1
    assert read(convop.Identity(3)).images == []


def test_large_kernels_stay_small():
    A = convop.Convolution(np.random.default_rng(0).standard_normal((501, 40)), (600, 600))
    assert len(A._repr_html_()) < 20_000
    assert pixels(read(A).images[0]).shape == (63, 40, 3)


def test_names_of_others_are_escaped():
    def forward(x):
        return x

    forward.__name__ = "<script>alert(1)</script>"
    A = convop.as_operator(forward=forward, adjoint=forward, in_shape=3, out_shape=3)
    assert "<script" not in A._repr_html_()
    assert "<script>" in read(A).words


def test_any_picture_as_png():
    data = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(imageio.imread(io.BytesIO(png(data)), extension=".png"), data)


def test_without_other_packages():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['matplotlib', 'PIL', 'imageio']))\n"
        "import convop\n"
        "print(convop.Convolution([[1.0, 2.0]], (3, 4))._repr_html_())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.search(r'<img alt="kernel 2".*data:image/png;base64,', shown.stdout)
