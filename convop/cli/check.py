"""`convop check`: the adjoint of anybody's operator."""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .._optional import require
from ..affine import Affine
from ..check.dot_test import AdjointReport, checked
from ..check.subject import subject
from ..errors import ConvopError
from ..operator import Operator
from .output import Usage, as_json


@dataclass(frozen=True)
class Job:
    """What was asked for."""

    operator: str
    trials: int = 20
    seed: int = 0
    exact: bool = False
    in_shape: tuple[int, ...] | None = None
    out_shape: tuple[int, ...] | None = None
    dtype: str | None = None
    json: bool = False
    quiet: bool = False


def check(job: Job) -> int:
    """Check, say what was found, and give the exit code."""
    operator = _operator(job)
    try:
        with _rounds(job) as rounds:
            report = checked(operator, rounds, job.seed, job.exact, own=True)
    except Exception as error:  # whatever the operator does when it is applied
        raise ConvopError(f"{job.operator} cannot be checked: {_told(error)}") from error
    if job.json:
        print(as_json(_facts(job, operator, report)))
    elif not job.quiet:
        print(report)
    return 0 if report else 1


def _rounds(job: Job) -> AbstractContextManager[Collection[object]]:
    """One for each trial; on a terminal with a bar, where they take more than a second."""
    rounds = range(job.trials)
    shown = not (job.json or job.quiet) and sys.stderr.isatty()
    if not shown or importlib.util.find_spec("tqdm") is None:  # a check needs nothing beyond `pip install convop`
        return nullcontext(rounds)
    return require("tqdm", "cli").tqdm(rounds, desc="checking", unit=" trials", ncols=78, leave=False, delay=1)


def _operator(job: Job) -> Operator:
    """The operator by its name, made if the name is that of a function."""
    found = _named(job.operator)
    if isinstance(found, Affine):
        raise Usage(f"{job.operator} adds an offset, so it has no adjoint; check its .linear")
    if callable(found) and not _is_subject(found):
        try:
            found = found()
        except Exception as error:  # whatever the user's function does
            raise Usage(f"{job.operator}() does not give an operator: {_told(error)}") from error
    try:
        return subject(found, job.in_shape, job.out_shape, job.dtype)
    except Exception as error:  # and whatever the user's object does when it is asked for its shape
        raise Usage(f"{job.operator} is no operator: {_told(error)}") from error


def _is_subject(found: Any) -> bool:
    """Whether it is an operator already, though it may be called."""
    return not (inspect.isroutine(found) or inspect.isclass(found)) and hasattr(found, "shape")


def _named(text: str) -> Any:
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise Usage(f"{text!r} names no operator; write MODULE:NAME, such as scanner.operators:blur")
    found: Any = _module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise Usage(f"{place} has no {name!r}; it has {_names(found)}")
        found = getattr(found, part)
    return found


def _module(place: str) -> ModuleType:
    """A module by its name as seen from here, or by its file."""
    path = Path(place)
    folder = path.parent if path.suffix == ".py" else Path.cwd()
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    try:
        if path.suffix != ".py":
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise Usage(f"{place} is no file of Python")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except ConvopError:
        raise
    except (Exception, SystemExit) as error:  # whatever somebody's module does when it is imported
        raise Usage(f"{place} cannot be imported: {_told(error)}") from error


def _told(error: BaseException) -> str:
    """An error of somebody else's code in a line: of what kind, what it says, and where."""
    if isinstance(error, ConvopError):
        return " ".join(str(error).split())
    trace = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in trace if not frame.filename.startswith("<")]  # not in Python's own import
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if said else ''}{said}{where}"


def _names(found: Any) -> str:
    names = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
    return ", ".join(sorted(names)[:12]) + (", ..." if len(names) > 12 else "") or "no names"


def _facts(job: Job, operator: Operator, report: AdjointReport) -> dict[str, Any]:
    where = {name: value for name, value in asdict(report.where).items() if value not in (None, ())}
    return {
        "operator": job.operator,
        "what": repr(operator),
        "in_shape": operator.in_shape,
        "out_shape": operator.out_shape,
        "dtype": np.dtype(operator.dtype).name,
        "trials": job.trials,
        "seed": job.seed,
        "exact": job.exact,
        "passed": report.passed,
        "error": report.error,
        "bound": report.bound,
        "cause": report.cause,
        "text": report.text,
        "where": where,
        "factor": report.factor,
    }
