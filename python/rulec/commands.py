# SPDX-License-Identifier: Apache-2.0
"""What the `rulec` command does, as functions: models, rule text and reports instead of files."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import Any, Iterable, Iterator, Sequence, Union

Model = Union[str, os.PathLike, bytes, Any]  # a path, a serialized model, an onnx.ModelProto
Rules = Union[str, os.PathLike, Iterable[Union[str, os.PathLike]]]  # files, packages, rule text


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong, or dubious, in rule text."""

    file: str
    line: int
    column: int
    severity: str
    kind: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"


class RulecError(Exception):
    """The command refused. `code` is its exit status: 1, an input is at fault; 2, an argument is."""

    def __init__(self, message: str, code: int = 1, diagnostics: Sequence[Diagnostic] = ()):
        super().__init__(message)
        self.code = code
        self.diagnostics = list(diagnostics)


@dataclasses.dataclass
class RewriteResult:
    """`model` is of the kind that was given: a ModelProto for one, else the bytes of the file."""

    model: Any
    report: dict[str, Any]
    log: str

    @property
    def fired(self) -> dict[str, int]:
        """How often each rule fired."""
        return {rule["rule"]: rule["fired"] for rule in self.report["rules"]}

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{rule}</td><td>{count}</td></tr>" for rule, count in self.fired.items()
        )
        before, after = self.report["model"]["nodes"], self.report["out"]["nodes"]
        return f"<p>{before} nodes, now {after}</p><table><tr><th>rule<th>fired</tr>{rows}</table>"


def command() -> str:
    """The path of the `rulec` command."""
    found = os.environ.get("RULEC") or shutil.which("rulec")
    if not found:
        raise RulecError("the command `rulec` is not on PATH; install it, or set RULEC to it", 2)
    return found


def _run(*arguments: Any) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(
            [command(), *map(str, arguments)], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise RulecError(f"{command()} cannot be run: {error}", 2) from None


def _run_or_raise(*arguments: Any) -> subprocess.CompletedProcess:
    result = _run(*arguments)
    if result.returncode != 0:
        raise RulecError(result.stderr.strip(), result.returncode)
    return result


def _is_text(rules: Any) -> bool:
    return isinstance(rules, str) and ("\n" in rules or "->" in rules or "→" in rules)


@contextlib.contextmanager
def _files(model: Model | None, rules: Rules | None) -> Iterator[tuple[pathlib.Path, str, list]]:
    """A folder of ours, the model's path, and `-r` for each rule file."""
    with tempfile.TemporaryDirectory(prefix="rulec-") as name:
        folder = pathlib.Path(name)
        path = ""
        if isinstance(model, (str, os.PathLike)):
            path = os.fspath(model)
        elif model is not None:
            path = str(folder / "model.onnx")
            data = model if isinstance(model, bytes) else model.SerializeToString()
            pathlib.Path(path).write_bytes(data)
        several = [] if rules is None else rules
        if isinstance(several, (str, os.PathLike)):
            several = [several]
        flags: list[str] = []
        for i, one in enumerate(several):
            if _is_text(one):
                file = folder / (f"rules_{i}.rules" if i else "text.rules")
                file.write_text(str(one) if str(one).endswith("\n") else f"{one}\n")
                one = file
            flags += ["-r", os.fspath(one)]
        yield folder, path, flags


def _list(value: Any) -> list:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _flags(
    *,
    outputs: Any = None,
    inputs: Any = None,
    dims: dict[str, int] | None = None,
    target: str | None = None,
    allow: Any = None,
    verify: str | None = None,
    expect: dict[str, int] | None = None,
    strict: bool = False,
    keep_shapes: bool = False,
    opset: int | None = None,
    seed: int | None = None,
    rule_path: Any = None,
    **params: Any,
) -> list[str]:
    """The command's flags; what none of them is called sets a `param` of the rules."""
    out: list[str] = []
    for flag, joined in (("--outputs", _list(outputs)), ("--allow", _list(allow))):
        if joined:
            out += [flag, ",".join(joined)]
    for flag, each in (("--input", _list(inputs)), ("--rule-path", _list(rule_path))):
        for one in each:
            out += [flag, os.fspath(one)]
    for flag, pairs in (("--dim", dims), ("--expect", expect), ("--set", params)):
        for key, value in (pairs or {}).items():
            out += [flag, f"{key}={_literal(value) if flag == '--set' else value}"]
    for flag, one in (("--target", target), ("--verify", verify), ("--opset", opset),
                      ("--seed", seed)):
        if one is not None:
            out += [flag, str(one)]
    return out + ["--strict"] * strict + ["--keep-shapes"] * keep_shapes


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return str(value)


def check(rules: Rules, *, target: str | None = None) -> list[Diagnostic]:
    """What is wrong, or dubious, in rule files, packages or rule text; nothing when all is well."""
    with _files(None, rules) as (_, _, flags):
        names = [name for name in flags if name != "-r"]
        result = _run("check", *names, "--json", *(["--target", target] if target else []))
        try:
            document = json.loads(result.stdout)
        except ValueError:
            raise RulecError(result.stderr.strip(), result.returncode) from None
        fields = {field.name for field in dataclasses.fields(Diagnostic)}
        return [
            Diagnostic(**{key: value for key, value in one.items() if key in fields})
            for one in document["diagnostics"]
        ]


def rewrite(model: Model, rules: Rules | None = None, **options: Any) -> RewriteResult:
    """Applies rules. Keywords are the command's flags (outputs, inputs, dims, target, allow, verify,
    expect, strict, keep_shapes, opset, seed, rule_path); any other sets a `param` of the rules."""
    flags = _flags(**options)
    with _files(model, rules) as (folder, path, rule_flags):
        out = folder / "out.onnx"
        result = _run("rewrite", path, *rule_flags, "-o", out, "--json", *flags)
        if result.returncode != 0:
            wrong = check(rules) if rules is not None and result.returncode == 1 else []
            raise RulecError(result.stderr.strip(), result.returncode, wrong)
        data: Any = out.read_bytes()
        if not isinstance(model, (str, os.PathLike, bytes)):
            data = type(model).FromString(data)
        return RewriteResult(data, json.loads(result.stdout), result.stderr)


def build(model: Model, rules: Rules | None = None, *, isa: str | None = None,
          opt: str | None = None, out: str | os.PathLike | None = None, **options: Any) -> bytes:
    """Makes an engine, after applying rules; gives its bytes, and writes them to `out`."""
    flags = _flags(**options)
    for flag, value in (("--isa", isa), ("--opt", opt)):
        flags += [flag, value] if value else []
    with _files(model, rules) as (folder, path, rule_flags):
        engine = pathlib.Path(out) if out else folder / "model.engine"
        _run_or_raise("build", path, *rule_flags, "-o", engine, *flags)
        return engine.read_bytes()


def explain(model: Model, rules: Rules, rule: str | None = None, *, at: str | None = None,
            **options: Any) -> Any:
    """Why a rule fired, or did not."""
    flags = _flags(**options)
    for flag, value in (("--rule", rule), ("--at", at)):
        flags += [flag, value] if value else []
    with _files(model, rules) as (_, path, rule_flags):
        return json.loads(_run_or_raise("explain", path, *rule_flags, "--json", *flags).stdout)


def inspect(model: Model) -> dict[str, Any]:
    """What a model or an engine file holds."""
    with _files(model, None) as (_, path, _):
        return json.loads(_run_or_raise("inspect", path, "--json").stdout)


def verify(a: Model, b: Model, *, rtol: float | None = None, atol: float | None = None,
           seed: int | None = None) -> dict[str, Any]:
    """Compares two models or engine files by their numbers; `["ok"]` says whether they agree."""
    flags: list[str] = []
    for flag, value in (("--rtol", rtol), ("--atol", atol), ("--seed", seed)):
        flags += [flag, str(value)] if value is not None else []
    with _files(a, None) as (_, left, _), _files(b, None) as (_, right, _):
        result = _run("verify", left, right, "--json", *flags)
        if result.returncode > 1 or not result.stdout.strip():
            raise RulecError(result.stderr.strip(), result.returncode)
        return json.loads(result.stdout)
