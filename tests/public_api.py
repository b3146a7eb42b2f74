"""The public API as text: `python tests/public_api.py > tests/public_api.txt` accepts what is there now."""

import importlib
import inspect
import re

import convop

MODULES = ("check", "plot", "psf", "spectrum", "testing")


def signature(thing):
    """Names, kinds and defaults of the parameters; annotations are left to the type checker."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in found.parameters.values()]
    text = str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def lines():
    """One for each public name, and one for each public attribute of a class."""
    for name in sorted(convop.__all__):
        yield from _lines(f"convop.{name}", getattr(convop, name))
    for module in MODULES:
        found = importlib.import_module(f"convop.{module}")
        for name, thing in sorted(vars(found).items()):
            if not name.startswith("_") and getattr(thing, "__module__", "").startswith(found.__name__):
                yield from _lines(f"convop.{module}.{name}", thing)


def _lines(name, thing):
    if inspect.ismodule(thing):
        return
    yield name + (signature(thing) if callable(thing) else "")
    if inspect.isclass(thing):
        own = [base for base in thing.__mro__ if base.__module__.startswith("convop")]
        names = {key for base in own for key in vars(base) if not key.startswith("_")}
        for key in sorted(names):
            attribute = inspect.getattr_static(thing, key)
            called = signature(getattr(thing, key)) if inspect.isfunction(attribute) else ""
            yield f"    .{key}{called}"


if __name__ == "__main__":
    print("\n".join(lines()))
