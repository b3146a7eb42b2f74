"""A module imports from lower floors only. Read top down, this table is the order in which the package is built.

Within a floor, a step may import from the steps before it. Nothing ever imports upward, not even inside a function.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "convop"

FLOORS = (
    # words
    (("errors",), ("_optional", "arguments", "dtypes", "memory"), ("residues",)),
    # where
    (("boundary",), ("geometry",), ("window",)),
    # arrays
    (
        ("apply",),
        ("apply.blas", "apply.compiled", "apply.complexity", "apply.extend", "apply.machine", "apply.threads"),
        ("apply.assembly",),
        ("apply.patterns",),
        ("apply.estimate", "apply.transforms", "apply.within"),
        ("apply.overlap_save",),
        ("apply.correlate",),
        ("apply.blocking",),
        ("apply.direct", "apply.fft", "apply.gemm", "apply.sparse"),
        ("apply.separable",),
        ("apply.plan",),
        ("apply.measuring",),
    ),
    # operators
    (("combining",), ("operator",), ("composite",), ("algebra",), ("foreign",), ("sizing",)),
    # kinds
    (
        ("kernel_side", "selection", "blocks"),
        ("convolution",),
        ("composing", "part", "stacking"),
        ("affine", "differences"),
        ("layers", "structured"),
    ),
    # rules
    (
        ("coincidence", "tap_window", "verdict"),
        ("fuse",),
        ("nearest", "seams"),
        ("recognise",),
        ("explain", "notebook", "order", "planning"),
    ),
    # questions
    (("check", "spectrum"),),
    # inverting
    (("solving",),),
    # neighbours
    (("blockwise", "interop", "mpi"),),
    # people
    (("psf",), ("plot", "testing"), ("cli",), ("__main__",)),
)
STEPPED = ("apply",)  # packages whose files have steps of their own; in all others files import each other freely
PLACES = {
    name: (floor, step) for floor, steps in enumerate(FLOORS) for step, names in enumerate(steps) for name in names
}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix("."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def entry(module):
    """The line of the table that speaks of a module: its own, or that of its package."""
    package = module.partition(".")[0]
    return module if package in STEPPED else package


def imports(module):
    """Every module of the package that `module` imports, and whether it does so inside a function."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    tree = ast.parse(path.read_text())
    late = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        for name in imported_names(node, package):
            yield name, id(node) in late


def imported_names(node, package):
    """The package's modules that one statement imports, without the leading `convop.`; "" is the whole of it."""
    if isinstance(node, ast.Import):
        names = [alias.name.split(".") for alias in node.names]
        return [".".join(name[1:]) for name in names if name[0] == "convop"]
    if not isinstance(node, ast.ImportFrom):
        return []
    source = (node.module or "").split(".") if node.module else []
    if node.level:
        source = package[: len(package) - node.level + 1] + source
    elif source[:1] == ["convop"]:
        source = source[1:]
    else:
        return []
    candidates = [".".join([*source, alias.name]) for alias in node.names]
    return [name if name in MODULES else ".".join(source) for name in candidates]


def allowed(module, other, late):
    if other == "":
        return False  # the public surface stands on top of everything
    here, there = PLACES[entry(module)], PLACES[entry(other)]
    same_package = entry(module) == entry(other)
    return same_package or there < here


@pytest.mark.parametrize("module", [name for name in MODULES if name])
def test_imports_from_lower_floors_only(module):
    assert entry(module) in PLACES, f"convop/{module} stands on no floor; give it a place in the table"
    upwards = [other for other, late in imports(module) if not allowed(module, other, late)]
    assert upwards == []


def test_the_walk_sees_every_form_of_import():
    tree = ast.parse(
        "import numpy, convop\nimport convop.psf\nfrom convop.apply import fft, extend\n"
        "from .. import psf\nfrom ..errors import ConvopError\nfrom . import plan\nfrom .. import Convolution\n"
    )
    seen = [name for node in tree.body for name in imported_names(node, ["apply"])]
    assert seen == ["", "psf", "apply.fft", "apply.extend", "psf", "errors", "apply.plan", ""]


@pytest.mark.parametrize(
    ("module", "other", "late", "verdict"),
    [
        ("geometry", "errors", False, True),
        ("geometry", "boundary", False, True),
        ("boundary", "geometry", False, False),
        ("errors", "_optional", False, False),
        ("apply.plan", "apply.fft", False, True),
        ("apply.fft", "apply.plan", False, False),
        ("apply.extend", "apply.direct", False, False),
        ("operator", "algebra", True, False),
        ("operator", "algebra", False, False),
        ("operator", "convolution", True, False),
        ("check.dot_test", "check.report", False, True),
        ("cli.demo", "psf", False, True),
        ("cli.demo", "", False, False),
    ],
)
def test_the_rule_itself(module, other, late, verdict):
    assert allowed(module, other, late) is verdict
