"""Optional packages, imported by the function that needs them."""

import importlib
from types import ModuleType

from .errors import MissingDependency


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of convop brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependency(
            f"this call needs the package '{module.partition('.')[0]}', which cannot be imported ({error}); "
            f'install it with: pip install "convop[{extra}]"'
        ) from error
