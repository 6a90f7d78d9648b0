# SPDX-License-Identifier: Apache-2.0
"""Every shipped library over every model beside the project.

    library_on_models.py RULEC RULES SHARED

The result passes ONNX's checker where the original does, computes the original's numbers (ONNX
Runtime, else rulec's evaluator), has the same bytes when made again (20 times for small models, else
3), and a second run over it changes nothing. A library that is made for one kind of model refuses the
others, and then writes nothing.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import onnx  # noqa: E402
from model_runs import difference, made_inputs, session  # noqa: E402

SKIPPED = 77  # what ctest takes for "skipped"


@dataclasses.dataclass(frozen=True)
class Library:
    package: str
    options: tuple = ()  # rules for a target fire only for it
    own_operators: bool = False  # that ONNX and ONNX Runtime do not know
    refuses: bool = False  # models of another kind
    settled: bool = True  # a second run finds nothing to do


TENSORRT = ("--target", "tensorrt@8.6")
LIBRARIES = [
    Library("std"),
    Library("lower", own_operators=True),
    Library("tensorrt.compat", TENSORRT),
    Library("tensorrt.nms", TENSORRT, own_operators=True),
    Library("tensorrt.ssd", TENSORRT, own_operators=True),
    Library("tfod.efficientdet", TENSORRT, own_operators=True, refuses=True, settled=False),
]
SMALL = 1 << 13  # bytes of a model that is made again more often
TOLERANCE = {"exact": 1e-5, "equivalent": 1e-3}
HALF = 2e-2  # of models that compute in f16


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    return done.returncode, done.stderr.strip()


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def accepted(path):
    try:
        onnx.checker.check_model(str(path))
        return ""
    except onnx.checker.ValidationError as error:
        return str(error).splitlines()[0]


def compare(rulec, source, target, tolerance, own_operators):
    """Empty when the numbers agree; None when neither ONNX Runtime nor rulec can tell."""
    try:
        if own_operators:
            raise NotImplementedError
        first = session(source)
        feed = made_inputs(first, 0, source)
        wanted = first.run(None, feed)
    except Exception:  # ONNX Runtime cannot run it: rulec's own evaluator can, mostly
        code, why = run(rulec, "verify", source, target, "--rtol", tolerance, "--atol", tolerance)
        if code == 0 or "neither runs" in why:
            return "" if code == 0 else None
        return why.splitlines()[-1] if why else "differs"
    half = any(port.type == "tensor(float16)" for port in first.get_outputs())
    try:
        found = difference(wanted, session(target).run(None, feed))
    except Exception as error:
        return f"ONNX Runtime refuses the result: {str(error).splitlines()[0][:200]}"
    return "" if found <= (HALF if half else tolerance) else f"differs by {found:.2g}"


def try_one(rulec, library, source, folder):
    """What is wrong, and what was done: (list of faults, fired, compared)."""
    name = f"{library.package}_{source.stem}"
    paths = [pathlib.Path(folder, f"{name}_{i}.onnx") for i in range(3)]
    report = pathlib.Path(folder, f"{name}.json")
    common = ["-r", library.package, *library.options]
    code, why = run(rulec, "rewrite", source, *common, "-o", paths[0], "--report", report)
    if code:
        if library.refuses and code == 1 and not paths[0].exists():
            return [], 0, False
        return [why.splitlines()[-1] if why else f"status {code}"], 0, False
    done = json.loads(report.read_text())
    fired = len(done["firings"])
    changed = bool(fired or done["edits"])
    faults = []
    if not library.own_operators and not accepted(source) and (refused := accepted(paths[0])):
        faults.append(f"the checker refuses it: {refused}")
    # Where nothing fires the bytes are an export's: once is enough.
    again = (19 if source.stat().st_size <= SMALL else 2) if changed else 1
    first = digest(paths[0])
    for _ in range(again):
        code, why = run(rulec, "rewrite", source, *common, "-o", paths[1])
        if code or first != digest(paths[1]):
            faults.append("other bytes when made again")
            break
    if changed and library.settled:
        code, why = run(rulec, "rewrite", paths[0], *common, "-o", paths[2], "--report", report)
        second = json.loads(report.read_text()) if code == 0 else {"firings": [1], "edits": [why]}
        if second["firings"] or second["edits"]:
            rules = sorted({f.get("rule", "") for f in second["firings"] if isinstance(f, dict)})
            faults.append(
                f"a second run changes it: {', '.join(rules)} {' '.join(second['edits'])}")
    compared = False
    if changed and library.settled:  # else the interface is another one
        kinds = {f.get("class", "equivalent") for f in done["firings"]}
        exact = kinds <= {"exact"} and not done["edits"]
        differs = compare(rulec, source, paths[0], TOLERANCE["exact" if exact else "equivalent"],
                          library.own_operators)
        compared = differs is not None
        if differs:
            faults.append(differs)
    for path in paths:
        path.unlink(missing_ok=True)
    return faults, fired, compared


def main(rulec, rules, shared):
    models = sorted(pathlib.Path(shared, "models").rglob("*.onnx"))
    if not models:
        print(f"no models in {shared}/models: skipped")
        return 1 if os.environ.get("CI") == "true" else SKIPPED
    os.environ["RULEC_PATH"] = rules
    failed = compared = fired = 0
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [(library.package, path, pool.submit(try_one, rulec, library, path, folder))
                for library in LIBRARIES for path in models]
        for library, path, job in jobs:
            faults, count, was_compared = job.result()
            fired, compared = fired + count, compared + was_compared
            failed += bool(faults)
            for fault in faults:
                print(f"{library} on {path.name}: {fault}")
    print(f"{len(jobs)} runs, {fired} firings, {compared} results compared by their numbers")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{used.ru_utime + used.ru_stime + own.ru_utime + own.ru_stime:.0f} s of processor time")
    print(f"{len(jobs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
