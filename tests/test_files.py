"""Operators in files and pickles: the same operator comes back, and no file does anything but that."""

import copy
import hashlib
import io
import json
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.sparse
from cases import CASES, array, sparse_array

import convop
from convop.errors import ConvopError, GeometryError
from convop.interop.files import archive
from convop.interop.files.kinds import KINDS
from convop.interop.files.parts import MOST_LEVELS

periodic = convop.Convolution(array((3, 4), "complex128"), (6, 9), boundary="periodic")
lopsided = convop.Convolution(array((3, 2)), (5, 6), boundary=(("mirror", "zero"), "replicate"))
weight = array((4, 3, 2, 3), "complex64")
layer = convop.conv_layer(weight, (6, 5, 7), groups=2, stride=(2, 1), padding=((1, 0), (2, 1)), boundary="symmetric")
strided = convop.Convolution(array((3, 4)), (6, 9), boundary="periodic", stride=3)
signal = array((2, 5, 6), "float32")

OPERATORS = {
    "pinned": lopsided.using("fft"),
    "circulant": convop.as_circulant(periodic),
    "circulant, real, strided": convop.as_circulant(strided),
    "circulant, pseudo-inverse": convop.as_circulant(strided).pinv(1e-3),
    "toeplitz": convop.as_toeplitz(convop.Convolution(array((2, 3), "complex64"), (4, 5), mode="full")),
    "toeplitz, layer": convop.as_toeplitz(convop.conv_layer(array((2, 3, 2)), (3, 6))),
    "lifted": convop.lift(convop.conv_layer(array((2, 3, 2, 2)), (3, 4, 5))),
    "lifted, groups, one replaced": convop.lift(layer).replace(0, 0, convop.lift(layer)[0, 0] * 2),
    "kernel side": lopsided.kernel_operator(signal),
    "kernel side, layer": layer.kernel_operator(array((2, 6, 5, 7), "complex64")),
    "identity": convop.Identity((3, 4), "complex64"),
    "zero": 0 * (lopsided @ convop.Diagonal(array((5, 6)))),
    "diagonal": convop.Diagonal(array((3, 4), "complex128")),
    "select a scalar": convop.Select((3, 4), (1, 2)),
    "select a mask": convop.Select((3, 4), array((3, 4)) > 0, "float64"),
    "extend": convop.Extend((3, 4), ((0, 9), (3, 1)), ("symmetric", ("zero", "antireflective"))),
    "unfold": convop.Unfold((2, 7, 8), (2, 3), stride=(3, 2), padding=1, dilation=2),
    "sparse": convop.as_operator(sparse_array((6, 8), density=0.3)),
    "sparse and empty": convop.as_operator(scipy.sparse.csr_array((6, 8)), (2, 4), (3, 2)),
    "dense": convop.as_operator(array((6, 8), "complex64"), (2, 4), (3, 2)),
    "stack, flat": convop.vstack([lopsided, convop.Select((5, 6), slice(2))]),
    "block": convop.block([[lopsided, None], [2j * lopsided, lopsided.H]]),
    "gradient": convop.gradient((4, 5, 3)),
    "shared": (lopsided @ convop.Diagonal(array((5, 6)))) ** 5 + lopsided,
    "numpy scalar": np.complex64(1 + 2j) * (lopsided @ lopsided.H),
    "reshaped": convop.as_operator(lopsided, 30, (6, 5)),
    "conjugate": (lopsided @ convop.as_operator(array((30, 30), "complex128"), (5, 6), (5, 6))).conj(),
    "adjoint": convop.Convolution(array((3, 4)), (6, 7), boundary="mirror").H,
    "transpose layer": convop.conv_transpose_layer(weight, (4, 5, 6), stride=2, groups=2, output_padding=1),
}
OPERATORS |= {f"case: {case.name}": case for case in CASES}


def operator_of(name):
    made = OPERATORS[name]
    return made if isinstance(made, convop.Operator) else made.operator


def saved(A):
    file = io.BytesIO()
    convop.save(A, file)
    return file.getvalue()


def loaded(data):
    return convop.load(io.BytesIO(data))


def by_action(A):
    return not A.explicit


def same(a, b):
    """The same class, shapes, types and methods, and answers equal bit by bit."""
    assert type(a) is type(b)
    assert (a.in_shape, a.out_shape, a.dtype) == (b.in_shape, b.out_shape, b.dtype)
    assert str(a) == str(b)
    x, y = array(a.in_shape, a.dtype, 1), array(a.out_shape, a.dtype, 2)
    np.testing.assert_array_equal(a(x), b(x))
    np.testing.assert_array_equal(a.H(y), b.H(y))
    if a.explicit:
        first, second = a.tosparse(), b.tosparse()
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(first, part), getattr(second, part))


@pytest.mark.parametrize("name", [name for name in OPERATORS if not by_action(operator_of(name))])
def test_what_is_saved_comes_back(name):
    A = operator_of(name)
    data = saved(A)
    again = loaded(data)
    same(A, again)
    assert saved(again) == data
    with np.load(io.BytesIO(data), allow_pickle=False) as plain:  # numpy reads it too
        assert sorted(plain) == sorted({"manifest", "checksum", *(name for name in plain if name[:6] == "array_")})


@pytest.mark.parametrize("name", [name for name in OPERATORS if by_action(operator_of(name))])
def test_code_is_not_saved(name):
    with pytest.raises(GeometryError, match="known by its action only"):
        saved(operator_of(name))


@pytest.mark.parametrize("name", [name for name in OPERATORS if not by_action(operator_of(name))])
def test_pickles_and_copies(name):
    A = operator_of(name)
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        same(A, pickle.loads(pickle.dumps(A, protocol)))
    assert copy.copy(A) is A
    assert copy.deepcopy([A, A])[1] is A


def test_every_kind_is_among_them():
    met, waiting = set(), [operator_of(name) for name in OPERATORS if not by_action(operator_of(name))]
    for A in waiting:
        met |= {part["kind"] for part in manifest_of(saved(A))["parts"]}
    assert met | {"Affine"} == set(KINDS)
    every = {each.__name__ for each in subclasses(convop.Operator) if each.__module__.startswith("convop")}
    assert {name for name in every if name[0] != "_"} - {"Functions"} == set(KINDS) - {"Affine"}


def subclasses(cls):
    return {each for child in cls.__subclasses__() for each in (child, *subclasses(child))}


@pytest.mark.parametrize("offset", [array((2, 3)), [1.0, 2.0]])
def test_affine_maps(offset):
    f = convop.Affine(convop.conv_layer(array((2, 1, 3)), (1, 5)), offset)
    again = loaded(saved(f))
    assert type(again) is convop.Affine
    assert str(again) == str(f)
    np.testing.assert_array_equal(again.offset, f.offset)
    np.testing.assert_array_equal(again(array((1, 5))), f(array((1, 5))))


def test_what_is_shared_is_written_once():
    large = convop.Diagonal(array((50, 50))) @ convop.Convolution(array((3, 3)), (50, 50), boundary="mirror")
    data = saved(large**6)
    assert len(data) < 2 * 50 * 50 * 8
    product = loaded(data)
    assert len(product.factors) == 12
    assert product.factors[0] is product.factors[2]


def test_files_by_name(tmp_path):
    path = tmp_path / "blur.npz"
    for _ in range(2):
        convop.save(lopsided, path)
        same(convop.load(str(path)), lopsided)
    assert [each.name for each in tmp_path.iterdir()] == ["blur.npz"]
    with pytest.raises(GeometryError, match=r"end it in \.npz"):
        convop.save(lopsided, tmp_path / "blur")
    for bad in (3, None, lopsided):
        with pytest.raises(GeometryError, match="is a path"):
            convop.load(bad)
    with pytest.raises(FileNotFoundError):
        convop.load(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError):
        convop.save(lopsided, tmp_path / "absent" / "blur.npz")
    path.write_bytes(b"")
    with pytest.raises(GeometryError, match="cannot be read"):
        convop.load(path)


def test_the_bytes_are_the_same_in_every_process_and_on_every_machine():
    A = convop.Convolution([[1.0, 2.0], [3.0, 4.5]], (5, 6), boundary="mirror") @ convop.Diagonal(np.ones((5, 6)))
    assert hashlib.sha256(saved(A)).hexdigest() == hashlib.sha256(saved(loaded(saved(A)))).hexdigest()
    text = json.dumps(manifest_of(saved(A))["parts"][0])
    assert '"boundary": [["mirror", "zero"], ["mirror", "zero"]]' in text


# Damage.


SAMPLE = saved(lopsided @ lopsided.H)


def undamaged(data):
    """Whether a file loads; it does as the sample or is refused with a GeometryError."""
    try:
        again = loaded(data)
    except GeometryError:
        return False
    same(again, lopsided @ lopsided.H)
    return True


def test_truncated_anywhere():
    for end in range(len(SAMPLE)):
        assert not undamaged(SAMPLE[:end])


def test_flipped_anywhere():
    """Every byte, and every bit of some: what is read is covered by a checksum, the rest says nothing."""
    rng, data = np.random.default_rng(0), bytearray(SAMPLE)
    survived = 0
    for place in range(len(data)):
        old = data[place]
        data[place] ^= int(rng.integers(1, 256))
        survived += undamaged(bytes(data))
        data[place] = old
    assert survived < len(data) / 4


def test_pieces_put_elsewhere():
    rng = np.random.default_rng(1)
    for _ in range(300):
        start, end, to = np.sort(rng.integers(0, len(SAMPLE), 3))
        undamaged(SAMPLE[:start] + SAMPLE[end:to] + SAMPLE[start:end] + SAMPLE[to:])
        undamaged(SAMPLE[:start] + rng.bytes(int(end - start)) + SAMPLE[end:])


def test_other_files(tmp_path):
    np.savez(tmp_path / "kernel.npz", kernel=np.ones(3))
    np.save(tmp_path / "kernel.npy", np.ones(3))
    np.savez(tmp_path / "objects.npz", manifest=np.array([Trap()], object), checksum=np.ones(32, np.uint8))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "text.npz").write_text("x" * 1000)
    for path in tmp_path.iterdir():
        with pytest.raises(GeometryError, match="holds no operator"):
            convop.load(path)


class Trap:
    """What a pickle would run."""

    def __reduce__(self):
        return pytest.fail, ("the file was unpickled",)


# Files made to deceive: everything below has right checksums.


def manifest_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return json.loads(np.lib.format.read_array(io.BytesIO(file.read("manifest.npy"))).tobytes())


def forged(manifest, arrays=(), listed=None):
    """A file with any manifest and arrays, with the checksums that belong to them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        entries = []
        for number, values in enumerate(arrays):
            digest = archive._add(target, f"array_{number}.npy", np.asarray(values))
            entries.append({"dtype": np.asarray(values).dtype.str, "shape": list(np.shape(values)), "sha256": digest})
        full = {"arrays": entries if listed is None else [{**e, **l} for e, l in zip(entries, listed, strict=True)]}
        text = json.dumps({"format": "convop operator", "version": 1} | full | manifest).encode()
        digest = archive._add(target, "manifest.npy", np.frombuffer(text, np.uint8))
        archive._add(target, "checksum.npy", np.frombuffer(bytes.fromhex(digest), np.uint8))
    return file.getvalue()


def refused(data, match=".", kinds=GeometryError):
    """The file is refused with a clear error, and with next to no memory taken."""
    tracemalloc.start()
    try:
        with pytest.raises(kinds, match=match) as caught:
            loaded(data)
        assert tracemalloc.get_traced_memory()[1] < 3e6 + 60 * len(data)
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 600


def test_forging_works():
    data = saved(lopsided)
    manifest = manifest_of(data)
    del manifest["arrays"]
    same(loaded(forged(manifest, [lopsided.weight])), lopsided)


def identity(shape):
    return {"kind": "Identity", "shape": shape, "dtype": "float32"}


GEOMETRY = manifest_of(saved(lopsided))["parts"][0]["geometry"]
WHOLE = manifest_of(saved(lopsided))["parts"][0]
HUGE = 2**62


@pytest.mark.parametrize(
    "parts",
    [
        [],
        None,
        7,
        [7],
        [{}],
        [{"kind": "Functions", "forward": 0}],
        [{"kind": "os.system", "command": "true"}],
        [{"kind": ["Identity"]}],
        [{"kind": "Identity"}],
        [{**identity([3]), "more": 1}],
        [identity([])],
        [identity([0])],
        [identity([-3])],
        [identity([3.0])],
        [identity([True])],
        [identity("3")],
        [identity([HUGE, 4])],
        [identity([2] * 65)],
        [identity([10**400])],
        [{**identity([3]), "dtype": "object"}],
        [{**identity([3]), "dtype": "float16"}],
        [{"kind": "Adjoint", "operator": 0}],
        [{"kind": "Adjoint", "operator": 1}, identity([3])],
        [identity([3]), {"kind": "Adjoint", "operator": -1}],
        [identity([3]), {"kind": "Adjoint", "operator": True}],
        [identity([3]), {"kind": "Adjoint", "operator": "0"}],
        [identity([3]), {"kind": "Product", "factors": []}],
        [identity([3]), identity([4]), {"kind": "Product", "factors": [0, 1]}],
        [identity([3]), identity([4]), {"kind": "Sum", "terms": [0, 1]}],
        [identity([3]), {"kind": "Reshaped", "operator": 0, "in_shape": [3], "out_shape": [4]}],
        [identity([3]), {"kind": "Scaled", "operator": 0, "number": ["float", "nan", "0x0p+0"], "dtype": "float32"}],
        [identity([3]), {"kind": "Scaled", "operator": 0, "number": ["float", "inf", "0x0p+0"], "dtype": "float32"}],
        [identity([3]), {"kind": "Scaled", "operator": 0, "number": ["eval", "1", "0"], "dtype": "float32"}],
        [identity([3]), {"kind": "Scaled", "operator": 0, "number": ["complex", "1", "1"], "dtype": "float32"}],
        [identity([3]), {"kind": "Lifted", "blocks": [[0], []], "groups": 1}],
        [identity([3]), {"kind": "Lifted", "blocks": [[0, 0]], "groups": 2}],
        [identity([3]), {"kind": "Affine", "linear": 0, "offset": 0}],
        [{**WHOLE, "weight": 5}],
        [{**WHOLE, "weight": -1}],
        [{**WHOLE, "weight": [0]}],
        [{**WHOLE, "method": "os.system"}],
        [{**WHOLE, "method": 3}],
        [{**WHOLE, "convention": "none"}],
        [{**WHOLE, "geometry": {**GEOMETRY, "kernel": [3, 3]}}],
        [{**WHOLE, "geometry": {**GEOMETRY, "spatial": [HUGE, HUGE]}}],
        [{**WHOLE, "geometry": {**GEOMETRY, "stride": [0, 1]}}],
        [{**WHOLE, "geometry": {**GEOMETRY, "padding": [[HUGE, HUGE], [1, 1]]}}],
        [{**WHOLE, "geometry": {**GEOMETRY, "padding": [[1], [1, 1]]}}],
        [{**WHOLE, "geometry": {**GEOMETRY, "boundary": [["reflect", "zero"], ["zero", "zero"]]}}],
        [{**WHOLE, "geometry": {**GEOMETRY, "groups": 0}}],
        [{**WHOLE, "geometry": {**GEOMETRY, "groups": 2}}],
        [{**WHOLE, "geometry": {**GEOMETRY, "channels_in": 10**9}}],
        [{**WHOLE, "geometry": {**GEOMETRY, "lifted": "yes"}}],
        [{**WHOLE, "geometry": {name: value for name, value in GEOMETRY.items() if name != "stride"}}],
        [{**WHOLE, "geometry": None}],
    ],
    ids=lambda parts: str(parts)[:60],
)
def test_parts_that_make_no_operator(parts):
    refused(forged({"parts": parts}, [lopsided.weight]))


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"parts": [identity([3])], "format": "other"},
        {"parts": [identity([3])], "version": 2},
        {"parts": [identity([3])], "version": "1"},
        {"parts": [identity([3])], "arrays": None},
        {"parts": [identity([3])], "arrays": [{}]},
    ],
    ids=str,
)
def test_manifests_that_say_something_else(manifest):
    refused(forged(manifest))


def sparse_part(shape, in_shape, out_shape):
    return {
        "kind": "Matrix", "matrix": {"shape": shape, "csr": [0, 1, 2]}, "in_shape": in_shape, "out_shape": out_shape,
    }  # fmt: skip


ONES, PLACES = np.ones(2), np.array([0, 1])


@pytest.mark.parametrize(
    ("shape", "arrays"),
    [
        ([2, 3], (ONES, np.array([0, 3]), np.array([0, 1, 2]))),
        ([2, 3], (ONES, np.array([0, -1]), np.array([0, 1, 2]))),
        ([2, 3], (ONES, PLACES, np.array([0, 1, 10**9]))),
        ([2, 3], (ONES, PLACES, np.array([0, 2, 1]))),
        ([2, 3], (ONES, PLACES, np.array([-5, 1, 2]))),
        ([2, 3], (ONES, PLACES, np.array([0, 1]))),
        ([2, 3], (ONES, PLACES[:1], np.array([0, 1, 2]))),
        ([2, 3], (ONES, PLACES * 1.0, np.array([0, 1, 2]))),
        ([2, 3], (ONES * np.nan, PLACES, np.array([0, 1, 2]))),
        ([2, 3], (PLACES, PLACES, np.array([0, 1, 2]))),
        ([HUGE // 4, 2], (ONES, PLACES, np.array([0, 1, 2]))),
        ([6], (ONES, PLACES, np.array([0, 1, 2]))),
    ],
)
def test_matrices_whose_indices_lie(shape, arrays):
    refused(forged({"parts": [sparse_part(shape, [3], [2])]}, arrays))


def test_a_matrix_that_tells_the_truth():
    data = forged({"parts": [sparse_part([2, 3], [3], [2])]}, (ONES, PLACES, np.array([0, 1, 2])))
    np.testing.assert_array_equal(loaded(data).toarray(), [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(
    ("in_shape", "samples"),
    [([3], [3]), ([3], [-1]), ([3], [1, 1]), ([3], np.zeros(0, int)), ([HUGE], [0, 0]), ([3], [0.5])],
)
def test_selections_of_nothing_or_too_much(in_shape, samples):
    part = {"kind": "Select", "in_shape": in_shape, "samples": 0, "dtype": "float32"}
    refused(forged({"parts": [part]}, [np.asarray(samples)]))


def test_selections_from_what_no_memory_holds():
    part = {"kind": "Select", "in_shape": [HUGE], "samples": 0, "dtype": "float32"}
    tracemalloc.start()
    assert loaded(forged({"parts": [part]}, [np.array([HUGE - 1])])).shape == (1, HUGE)
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()


def circulant_part(**changes):
    layout = {
        "base": [4], "phases_in": [1], "phases_out": [1], "channels_in": 1, "channels_out": 1, "lifted": False,
    }  # fmt: skip
    return {"kind": "BlockCirculant", "layout": layout | changes, "blocks": 0, "dtype": "float64", "dropped": None}


def test_circulants():
    blocks = np.ones((3, 1, 1), complex)
    assert loaded(forged({"parts": [circulant_part()]}, [blocks])).shape == (4, 4)
    for changes in ({"base": [6]}, {"base": [HUGE]}, {"base": [4, 1]}, {"phases_in": [2]}, {"channels_in": 2}):
        refused(forged({"parts": [circulant_part(**changes)]}, [blocks]))
    refused(forged({"parts": [circulant_part()]}, [blocks.real]))


def test_blocks_out_of_place():
    def part(blocks, rows=([3], [3]), columns=([3],)):
        both = {"rows": {"shapes": list(rows), "single": False}, "columns": {"shapes": list(columns), "single": True}}
        return {"kind": "Blocks", "blocks": blocks, **both}

    good = [[0, 0, 0], [1, 0, 0]]
    assert loaded(forged({"parts": [identity([3]), part(good)]})).out_shape == (2, 3)
    for bad in ([[0, 0, 0]], [[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [2, 0, 0]], [[1, 0, 0], [0, 0, 0]], [[0, 0]], []):
        refused(forged({"parts": [identity([3]), part(bad)]}))
    refused(forged({"parts": [identity([3]), part(good, rows=([3], [4]))]}))
    refused(forged({"parts": [identity([3]), part(good, columns=([3], [3]))]}))


def test_nesting_that_would_exhaust_the_stack():
    deep = [identity([3]), *({"kind": "Adjoint", "operator": n} for n in range(100_000))]
    refused(forged({"parts": deep}), "nested more than")
    refused(forged({"parts": json.loads("[" * 500 + "]" * 500)}))
    text = np.frombuffer(b"[" * 200_000, np.uint8)
    refused(with_manifest(text), "cannot be read")
    A = convop.Identity(3)
    for _ in range(MOST_LEVELS - 1):
        A = wrapped(A)
    assert loaded(saved(A)).shape == (3, 3)
    with pytest.raises(GeometryError, match="nested more than"):
        saved(wrapped(A))


def wrapped(A):
    """One level more."""
    return type(convop.Convolution([1.0, 2.0], 3, boundary="mirror").H)(A)


def with_manifest(text):
    """A file whose manifest is any bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        digest = archive._add(target, "manifest.npy", text)
        archive._add(target, "checksum.npy", np.frombuffer(bytes.fromhex(digest), np.uint8))
    return file.getvalue()


def test_sharing_that_would_never_end():
    """Sixty sums of a sum with itself are 2**60 terms."""
    doubling = [identity([3]), *({"kind": "Sum", "terms": [n, n]} for n in range(60))]
    refused(forged({"parts": doubling}), "more than .* parts")


@pytest.mark.parametrize("text", [b"NaN", b"[1" * 3, b'{"a": Infinity}', b"1" * 5000, b"\xff\xfe", b"[]", b"{}", b"3"])
def test_manifests_that_are_none(text):
    refused(with_manifest(np.frombuffer(text, np.uint8)))


def test_zip_bombs():
    zeros = np.zeros(10**6)
    part = [{"kind": "Diagonal", "array": 0}]
    bomb = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(forged({"parts": part}, [zeros])))
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert len(bomb.getvalue()) < 20_000
    refused(bomb.getvalue(), "compressed")


def test_sizes_that_lie():
    part, small = [{"kind": "Diagonal", "array": 0}], np.ones(4)
    for lie in ({"shape": [10**12]}, {"shape": [2, 3]}, {"shape": [-4]}, {"shape": [-1, -4]}, {"shape": [4.0]}):
        refused(forged({"parts": part}, [small], [lie]))
    for lie in (
        {"dtype": "|O"},
        {"dtype": "<f16"},
        {"dtype": 3},
        {"dtype": "<c16"},
        {"sha256": "0" * 64},
        {"sha256": 1},
    ):
        refused(forged({"parts": part}, [small], [lie]))
    data = forged({"parts": part}, [small])
    at = data.find(b"PK\x01\x02")  # the list of members
    for offset in (20, 24):  # the stored and the real size of the first
        refused(
            data[: at + offset] + (2**31 - 1).to_bytes(4, "little") + data[at + offset + 4 :], "larger than the file"
        )


def test_members_that_overlap():
    """Many names for the same bytes would be more than the file holds."""
    data = bytearray(forged({"parts": [{"kind": "Diagonal", "array": 0}]}, [np.ones(10_000)]))
    end = data.rfind(b"PK\x05\x06")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    entry = bytes(data[start : data.find(b"PK\x01\x02", start + 4)])
    more = b"".join(entry.replace(b"array_0.npy", b"array_%d.npy" % n) for n in range(1, 10))
    lying = data[:end] + more + data[end:]
    end += len(more)
    for place in (8, 10):
        lying[end + place : end + place + 2] = (int.from_bytes(data[-14:-12], "little") + 9).to_bytes(2, "little")
    lying[end + 12 : end + 16] = (int.from_bytes(data[-10:-6], "little") + len(more)).to_bytes(4, "little")
    refused(bytes(lying), "larger than the file")


def test_more_than_the_machine_has(monkeypatch):
    data = saved(convop.Diagonal(np.ones(1000)))
    monkeypatch.setattr("convop.memory.available_bytes", lambda: 10_000)
    with pytest.raises(convop.MemoryBudgetError, match="reading the file"):
        loaded(data)


def test_random_manifests():
    """Values put anywhere in a manifest that was right: an operator, or a ConvopError, and nothing else."""
    rng = np.random.default_rng(3)
    sources = [name for name in OPERATORS if not by_action(operator_of(name)) and not name.startswith("case")]
    strange = [None, True, -1, 0, 1, 2, 10**30, 1.5, "", "zero", "float64", [], [0], [[0, 0]], {}, [HUGE], "x" * 9999]
    for _ in range(600):
        data = saved(operator_of(sources[rng.integers(len(sources))]))
        manifest = manifest_of(data)
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            names = [f"array_{n}.npy" for n in range(len(manifest.pop("arrays")))]
            arrays = [np.lib.format.read_array(io.BytesIO(file.read(name))) for name in names]
        change(manifest["parts"], strange[rng.integers(len(strange))], rng)
        try:
            A = loaded(forged(manifest, arrays))
        except ConvopError:
            continue
        if max(A.shape) < 1000:
            A(np.ones(A.in_shape)), A.H(np.ones(A.out_shape))


def change(value, strange, rng):
    """Put something strange at a random place of a tree."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[rng.integers(len(keys))]
        if not isinstance(value[key], dict | list) or not value[key] or rng.random() < 0.2:
            value[key] = strange
            return
        value = value[key]
