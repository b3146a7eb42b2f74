"""Whole networks: what functions do in them, sums and concatenations, fusion, refusals, and check.equal."""

import operator

import numpy as np
import pytest
import scipy.sparse.linalg
from cases import array
from oracle import error

import convop

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

from torch_modules import agrees, jacobian, linearises, randomised  # noqa: E402

SHAPE = (4, 6, 5)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Net(nn.Module):
    """A function of the module and its input, with constants as parameters (buffers, where they start with `b_`)."""

    def __init__(self, function, **constants):
        super().__init__()
        self.function = function
        for name, value in constants.items():
            value = torch.as_tensor(value)
            if name.startswith("b_"):
                self.register_buffer(name, value)
            else:
                setattr(self, name, nn.Parameter(value))

    def forward(self, x):
        return self.function(self, x)


def in_place(net, x):
    y = x * 2.0
    same = y
    y += 1
    y *= 3
    F.dropout(y, 0.5, False, True)
    return same + y


def added_to_itself(net, x):
    y = x.clone()
    y += x
    return y.sub_(x / 4)


def padded_to_a_multiple(net, x):
    if x.shape[-1] % 2 and isinstance(x, torch.Tensor):
        x = F.pad(x, (0, x.shape[-1] % 2))
    assert x.dim() == 4
    return x.reshape(len(x), -1, x.size(-1) // 2)


LINEAR = {
    "sums": (lambda net, x: x + x * 2 - x / 3 + (-x) + torch.add(x, x, alpha=0.5), {}),
    "in place": (added_to_itself, {}),
    "a factor for each channel": (lambda net, x: net.c * x, {"c": array((4, 1, 1))}),
    "a factor for each sample of a plane": (lambda net, x: x * net.c, {"c": array((6, 5))}),
    "a divisor": (lambda net, x: x / net.c, {"c": array(SHAPE) + 5}),
    "a factor with a batch axis": (lambda net, x: x * net.c, {"c": array((1, *SHAPE))}),
    "one factor": (lambda net, x: x.mul(net.c), {"c": array((1,))}),
    "a mask": (lambda net, x: x * net.b_mask, {"b_mask": array((6, 5)) > 0}),
    "broadcast by a factor": (lambda net, x: x[:, :1] * net.c, {"c": array((4, 1, 1))}),
    "broadcast in a sum": (lambda net, x: x.mean((2, 3), keepdim=True) + x, {}),
    "concatenated channels": (lambda net, x: torch.cat([x, 2 * x, F.avg_pool2d(x, 3, 1, 1)], 1), {}),
    "concatenated rows": (lambda net, x: torch.cat((x, -x[:, :, 1:]), dim=-2), {}),
    "stacked": (lambda net, x: torch.stack([x, -x], 2), {}),
    "chunks": (lambda net, x: operator.sub(*x.chunk(2, 1)), {}),
    "splits": (lambda net, x: x.split([1, 3], 1)[1], {}),
    "one of a split": (lambda net, x: x.unbind(1)[2], {}),
    "view": (lambda net, x: x.view(x.size(0), -1), {}),
    "view with sizes": (lambda net, x: x.view(-1, 120), {}),
    "permute": (lambda net, x: x.permute(0, 2, 3, 1).contiguous(), {}),
    "transpose": (lambda net, x: x.transpose(1, 3).reshape(x.shape[0], 5, -1), {}),
    "last axes turned": (lambda net, x: x.mT, {}),
    "flip and roll": (lambda net, x: x.flip(2) - torch.roll(x, 1, 3), {}),
    "slices": (lambda net, x: x[:, :, ::2, 1:], {}),
    "samples taken twice": (lambda net, x: x[:, [0, 0, 2]], {}),
    "new axes": (lambda net, x: x[..., None, 2].squeeze(-1).unsqueeze(2), {}),
    "expand": (lambda net, x: x[:, :1].expand(-1, 3, -1, -1), {}),
    "repeat": (lambda net, x: x.repeat(1, 2, 1, 1), {}),
    "windows": (lambda net, x: x.unfold(2, 3, 2), {}),
    "sum over an axis": (lambda net, x: x.sum(1), {}),
    "mean over axes": (lambda net, x: torch.mean(x, dim=(-1, -2)), {}),
    "matmul": (lambda net, x: x @ net.c, {"c": array((5, 3))}),
    "functions with weights": (lambda net, x: F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), net.c, groups=2),
                               {"c": array((2, 2, 3, 2))}),
    "named arguments": (lambda net, x: F.conv2d(input=x, weight=net.c, stride=[2]), {"c": array((2, 4, 3, 3))}),
    "weights that are computed": (lambda net, x: F.conv_transpose2d(x, net.c / net.c.norm()),
                                  {"c": array((4, 2, 3, 3))}),
    "sizes decide": (padded_to_a_multiple, {}),
    "a loop over sizes": (lambda net, x: sum((x[:, :, i] for i in range(1, x.shape[2])), start=x[:, :, 0]), {}),
    "resized to another": (lambda net, x: F.interpolate(F.avg_pool2d(x, 2), size=x.shape[2:]) + x, {}),
    "no change of type": (lambda net, x: x.to(x.dtype).double(), {}),
    "axes of length one dropped": (lambda net, x: F.adaptive_avg_pool2d(x, 1).squeeze(), {}),
    "text": (lambda net, x: (f"{x.shape} {x}", x)[1], {}),
}  # fmt: skip
AFFINE = {
    "constant minus": (lambda net, x: 1 - x, {}),
    "an offset for each channel": (lambda net, x: x + net.c, {"c": array((4, 1, 1))}),
    "an offset first": (lambda net, x: net.b_c - x, {"b_c": array((1, *SHAPE))}),
    "constants like the input": (lambda net, x: x + torch.ones_like(x) * 3 + x.new_ones(1), {}),
    "in place": (in_place, {}),
    "a constant among channels": (lambda net, x: torch.cat([x, net.c.expand(len(x), -1, -1, -1)], 1),
                                  {"c": array((3, 6, 5))}),
    "linear": (lambda net, x: F.linear(x, net.w, net.b), {"w": array((3, 5)), "b": array((3,))}),
    "addition of a vector": (lambda net, x: torch.add(x, net.c, alpha=2).flatten(1), {"c": array((5,))}),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_linear_functions(name):
    function, constants = LINEAR[name]
    net = Net(function, **constants)
    assert isinstance(agrees(net, SHAPE), convop.Operator)
    linearises(net, SHAPE)


@pytest.mark.parametrize("name", AFFINE)
def test_functions_with_an_offset(name):
    function, constants = AFFINE[name]
    net = Net(function, **constants)
    assert isinstance(agrees(net, SHAPE), convop.Affine)
    linearises(net, SHAPE)


AT_A_POINT = {
    "square": lambda net, x: x * x,
    "square in place": lambda net, x: (x + 1).mul_(x),
    "gate": lambda net, x: x[:, :2] * torch.sigmoid(x[:, 2:]),
    "squeeze and excite": lambda net, x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)),
    "power": lambda net, x: x**3,
    "reciprocal": lambda net, x: 1 / (x + 10),
    "clamp": lambda net, x: x.clamp(min=-0.5, max=0.5) + F.relu(-x) + torch.relu(x).abs(),
    "relu of a concatenation": lambda net, x: F.max_pool2d(F.relu(torch.cat([x, -x], 1)), 2, return_indices=False),
}


@pytest.mark.parametrize("name", AT_A_POINT)
def test_functions_at_a_point(name):
    net = Net(AT_A_POINT[name])
    linearises(net, SHAPE)
    with pytest.raises(convop.NotLinearError, match="give at=x"):
        convop.from_torch(net, SHAPE)


# Networks


class Block(nn.Module):
    """Two convolutions with normalisation, and the input added: in place, or not."""

    def __init__(self, channels, activation=None, stride=1, out=None):
        super().__init__()
        out = out or channels
        self.first = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(out)
        self.activation = activation
        self.second = nn.Conv2d(out, out, 3, padding=1, padding_mode="circular")
        self.down = nn.Conv2d(channels, out, 1, stride) if stride > 1 or out != channels else None

    def forward(self, x):
        y = self.norm(self.first(x))
        if self.activation is not None:
            y = self.activation(y)
        y = self.second(y)
        y += x if self.down is None else self.down(x)
        return y


def resnet(activation=None):
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), Block(4, activation), Block(4, activation, 2, 6),
        nn.ReflectionPad2d(1),
        nn.Upsample(scale_factor=2), nn.AvgPool2d(3, 2), nn.Sequential(nn.Dropout(), nn.Conv2d(6, 1, 1)),
    )  # fmt: skip
    return randomised(net)


def test_a_residual_network():
    net = resnet()
    A = agrees(net, (2, 13, 10))
    convop.check.equal(A, net).raise_if_failed()
    convop.check.adjoint(A.linear).raise_if_failed()
    matrix = A.linear.tosparse()
    assert error(matrix.toarray(), jacobian(net, np.zeros((2, 13, 10)))) <= 1e-12
    largest = scipy.sparse.linalg.svds(A.linear, k=1, return_singular_vectors=False, random_state=0)[0]
    exact = np.linalg.svd(matrix.toarray(), compute_uv=False)[0]
    assert abs(largest - exact) <= 1e-10 * exact


def test_a_residual_sum_applies_what_came_before_once():
    depth = 12
    net = randomised(nn.Sequential(*(Block(2) for _ in range(depth))))
    A = agrees(net, (2, 5, 4)).linear
    assert isinstance(A, convop.Product)
    assert len(A.factors) == depth
    assert all(isinstance(factor, convop.Sum) for factor in A.factors)


def test_a_network_with_activations_at_a_point():
    linearises(resnet(nn.ReLU(inplace=True)), (2, 13, 10))
    linearises(resnet(nn.GELU()), (2, 13, 10))
    with pytest.raises(convop.NotLinearError, match=r"^1\.activation \(ReLU\): relu is not linear; give at=x"):
        convop.from_torch(resnet(nn.ReLU()), (2, 13, 10))


def test_chains_of_linear_layers_are_one_convolution():
    net = nn.Sequential(
        nn.ReplicationPad2d((1, 2, 0, 1)), nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 2, groups=2),
        nn.Identity(), nn.Dropout2d(), nn.AvgPool2d(2, 1), nn.Conv2d(4, 3, 2, stride=2),
    )  # fmt: skip
    A = agrees(randomised(net), (2, 9, 8))
    assert isinstance(A.linear, convop.Convolution)
    story = convop.explain(A.linear)
    assert story.fused
    assert len(story.fusions) == 5
    assert not story.seams


def test_a_seam_is_explained():
    net = randomised(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1)))
    A = agrees(net, (1, 6, 7))
    (seam,) = convop.explain(A.linear).seams
    assert "one kernel would change 22 of 42 output samples" in seam.reason


def test_one_layer_used_twice():
    layer = nn.Conv1d(3, 3, 3, padding=1)
    agrees(randomised(nn.Sequential(layer, nn.Identity(), layer)), (3, 8))


# check.equal


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_equal_to_the_module_itself(dtype):
    torch.manual_seed(0)
    kind = getattr(torch, dtype)
    net = nn.Sequential(nn.Conv2d(2, 3, 3, dtype=kind), nn.ReflectionPad2d(1), nn.Conv2d(3, 2, (2, 3), dtype=kind))
    A = convop.from_torch(net, (2, 8, 7))
    for report in (convop.check.equal(A, net), convop.check.equal(net, A), convop.check.equal(A, A)):
        assert report.passed
        assert report.rows.shape == A.out_shape
    assert "Sequential" in str(convop.check.equal(A, net))


def test_equal_sees_what_differs():
    net = randomised(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 2, (2, 3))))
    A = convop.from_torch(net, (2, 8, 7))
    offset = A.offset.copy()
    offset[1, 2, 3] += 1e-3
    shifted = convop.check.equal(convop.Affine(A.linear, offset), net)
    assert not shifted
    assert (shifted.count, shifted.where.output) == (1, (1, 2, 3))
    assert not convop.check.equal(A.linear, net)
    assert not convop.check.equal(convop.Affine(1.0001 * A.linear, A.offset), net)
    assert not convop.check.equal(A, convop.Affine(A.linear, A.offset * 1.0001))
    assert convop.check.equal(A, convop.Affine(A.linear.tosparse(), A.offset.ravel()))
    assert convop.check.equal(convop.Affine(A.linear, np.zeros(A.out_shape)), A.linear)


def test_equal_sees_a_network_that_is_not_linear():
    net = randomised(nn.Sequential(nn.Conv1d(1, 2, 3), nn.LeakyReLU(0.9)))
    A = convop.from_torch(net[0], (1, 9))
    assert convop.check.equal(A, net[0])
    assert not convop.check.equal(A, net)


def test_equal_refuses_what_it_cannot_ask():
    A = convop.conv_layer(array((2, 2, 3)), (2, 9))
    with pytest.raises(convop.ShapeError, match="does not take arrays of shape"):
        convop.check.equal(A, nn.Conv1d(3, 2, 3))
    with pytest.raises(convop.ShapeError, match="one size"):
        convop.check.equal(A, nn.Conv1d(2, 2, 4, dtype=torch.float64))
    with pytest.raises(convop.NotLinearError, match="training mode"):
        convop.check.equal(A, nn.BatchNorm1d(2))
    with pytest.raises(convop.GeometryError, match="from_torch"):
        convop.as_operator(nn.Conv1d(2, 2, 3))


# Refusals


class Tuple(nn.Module):
    def forward(self, x):
        return x, x


def stale(net, x):
    y = x * 2
    view = y.view(y.shape[0], -1)
    y += 1
    return view


def written(net, x):
    y = x.clone()
    y[:, 0] = 0
    return y


NOT_LINEAR = {
    "a branch on values": (Net(lambda net, x: x if x.mean((2, 3)).max() > 0 else -x), "Net: max is none"),
    "a branch on a comparison": (Net(lambda net, x: x if (x > 0).all() else -x), "Net: .*reads values .gt., so"),
    "a branch on a sum": (Net(lambda net, x: x if bool(x.sum(1)) else -x), "Net: .*reads values .__bool__., so"),
    "a number of it": (Net(lambda net, x: x * x[0, 0, 0, 0].item()), "mixes the arrays of a batch"),
    "numpy": (Net(lambda net, x: torch.from_numpy(x.numpy())), "reads values"),
    "convolved with itself": (Net(lambda net, x: F.conv2d(x, x[:, :, :3, :3])), "a weight that depends on the input"),
    "softmax": (nn.Sequential(nn.Identity(), nn.Softmax(1)), r"^1 \(Softmax\): softmax"),
    "normalised layers": (nn.LayerNorm(5), "^LayerNorm: layer_norm"),
    "attention": (nn.TransformerEncoderLayer(5, 1).eval(), r"^self_attn \(MultiheadAttention\): multi_head"),
    "batch statistics": (nn.Sequential(nn.BatchNorm2d(4)), r"^0 \(BatchNorm2d\): .*module\.eval\(\)"),
    "no stored statistics": (nn.BatchNorm2d(4, track_running_stats=False).eval(), "track_running_stats=True"),
    "dropout in training": (nn.Sequential(nn.Dropout()), r"^0 \(Dropout\): .*module\.eval\(\)"),
    "two results": (Tuple(), "returns an object of type tuple"),
    "a constant": (Net(lambda net, x: net.c, c=array((3,))), "returns a constant tensor"),
    "indices": (nn.MaxPool2d(2, return_indices=True), "max_pool2d_with_indices"),
    "the batch reversed": (Net(lambda net, x: x.flip(0)), "mixes the arrays of a batch"),
    "the batch moved": (Net(lambda net, x: x.permute(1, 0, 2, 3)), "mixes the arrays of a batch"),
    "the batch summed": (Net(lambda net, x: x.sum()), "over the batch axis"),
    "the batch concatenated": (Net(lambda net, x: torch.cat([x, x])), "along the batch axis"),
    "one of the batch": (Net(lambda net, x: x[0]), "mixes the arrays of a batch"),
    "an old view": (Net(stale), "changed in place under another name"),
    "an item written": (Net(written), "__setitem__"),
    "a place to write to": (Net(lambda net, x: torch.add(x, x, out=torch.empty(1))), "add is none"),
    "a buffer written": (Net(lambda net, x: net.b_sum.add_(x), b_sum=np.zeros(SHAPE)), "add_ writes into a tensor"),
    "no gradient": (Net(lambda net, x: x.detach()), "detach"),
    "random": (Net(lambda net, x: x * torch.rand(4, 1, 1)), "part of its code is random or hidden"),
    "no module": (torch.relu, "takes a torch.nn.Module"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_what_is_not_linear_is_refused_by_name(name):
    module, reason = NOT_LINEAR[name]
    with pytest.raises(convop.NotLinearError, match=reason):
        convop.from_torch(module, SHAPE)


class Hidden(torch.autograd.Function):
    """Works on memory that nobody sees, as an extension in C++ does."""

    @staticmethod
    def forward(ctx, x):
        with torch._C.DisableTorchFunctionSubclass():
            return torch.mul(x, 2)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


def test_what_torch_functions_do_not_show_is_found_out():
    net = Net(lambda net, x: x + Hidden.apply(x))
    for at in (None, array(SHAPE)):
        with pytest.raises(convop.NotLinearError, match="hidden from from_torch"):
            convop.from_torch(net, SHAPE, at=at, dtype="float64")


def test_arguments_are_checked():
    layer = nn.Conv2d(2, 3, 3)
    with pytest.raises(convop.GeometryError, match=r"Conv2d: .*in_shape \(3, 8, 8\) has 3"):
        convop.from_torch(layer, (3, 8, 8))
    with pytest.raises(convop.GeometryError, match=r"0 \(Linear\): torch refuses"):
        convop.from_torch(nn.Sequential(nn.Linear(4, 2)), (5,))
    with pytest.raises(convop.GeometryError, match="in_shape"):
        convop.from_torch(layer, ())
    with pytest.raises(convop.ShapeError, match=r"at has shape \(1, 2, 8, 8\), needed in_shape \(2, 8, 8\)"):
        convop.from_torch(layer, (2, 8, 8), at=np.zeros((1, 2, 8, 8)))
    with pytest.raises(convop.DTypeError, match="at is complex"):
        convop.from_torch(layer, (2, 8, 8), at=np.zeros((2, 8, 8), complex))
    with pytest.raises(convop.DTypeError, match="float32"):
        convop.from_torch(nn.Flatten(), (2, 8), dtype="int32")
    with pytest.raises(convop.GeometryError, match="without a shape yet"):
        convop.from_torch(nn.LazyConv2d(3, 3), (2, 8, 8))
    with pytest.raises(convop.DTypeError, match=r"double turns torch\.float32 into torch.float64"):
        convop.from_torch(Net(lambda net, x: x.double()), (2, 8))
    with pytest.raises(convop.DTypeError, match=r"mul turns torch\.float32 into torch\.complex64"):
        convop.from_torch(Net(lambda net, x: x * 1j), (2, 8))


def test_a_point_may_be_a_tensor_or_an_array():
    net = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU())
    point = array((1, 7), "float32")
    points = point, torch.from_numpy(point).requires_grad_(), point.astype("float64")[:, ::-1][:, ::-1], point.tolist()
    matrices = [convop.from_torch(net, (1, 7), at=at).toarray() for at in points]
    assert all(np.array_equal(matrix, matrices[0]) for matrix in matrices)


def test_complex_networks_have_no_activations():
    with pytest.raises(convop.NotLinearError, match="no complex derivative"):
        convop.from_torch(nn.Tanh(), (3,), at=np.ones(3), dtype="complex64")
