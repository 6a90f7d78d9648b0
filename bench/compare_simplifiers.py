#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rulec rewrite -r std` against onnxsim, OnnxSlim, onnxoptimizer and ONNX Runtime's optimizer.

  python bench/compare_simplifiers.py --rulec build/dev/rulec [--keep peers.json] [--table FILE.md] [NAME ...]

Every model of ../shared/models goes through every tool, each in a process of its own. Counted are
the nodes of all graphs, nested ones included. The result is run beside the original in ONNX Runtime
with all optimizations off, on seeded inputs: `≠` stands behind a result that differs by more than
1e-3 of the largest number, `!` behind one that cannot be loaded, `*` behind one that holds operators
outside of ONNX's own domains which the original did not, `−` behind one that took inputs away:
weights that the file lists as inputs, and a caller may give (ONNX from IR version 4 on). With --keep, peers' results are read from
a file, or written there: they take minutes. Needs onnx, onnxruntime, onnxsim, onnxslim and
onnxoptimizer.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "../tests/python"))
from model_runs import difference, made_inputs, session  # noqa: E402
MODELS = HERE / "../../shared/models"
PEERS = ["onnxsim", "onnxslim", "onnxoptimizer", "ort_basic", "ort_extended"]
TOLERANCE = 1e-3
SECONDS = 300  # a tool may take for a model


# ---- One tool, in a child ------------------------------------------------------------------------


def simplify(tool, source, target):
    import onnx
    if tool.startswith("ort"):
        import onnxruntime as ort
        options = ort.SessionOptions()
        levels = {"ort_basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
                  "ort_extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED}
        options.graph_optimization_level = levels[tool]
        options.optimized_model_filepath = target
        options.log_severity_level = 4
        ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        return
    model = onnx.load(source)
    if tool == "onnxsim":
        import onnxsim
        model = onnxsim.simplify(model)[0]
    elif tool == "onnxslim":
        import onnxslim
        model = onnxslim.slim(model)
    else:
        import onnxoptimizer
        model = onnxoptimizer.optimize(model, onnxoptimizer.get_fuse_and_elimination_passes())
    onnx.save(model, target)


# ---- Judging -------------------------------------------------------------------------------------


def count(graph):
    """Nodes of a graph and of all graphs nested in it, and the domains of their operators."""
    nodes, domains = len(graph.node), {n.domain for n in graph.node}
    for node in graph.node:
        for attribute in node.attribute:
            for body in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                inner, found = count(body)
                nodes, domains = nodes + inner, domains | found
    return nodes, domains


def judge(source, target):
    """Nodes of the result, what is foreign in it, and how far its numbers are off."""
    import onnx
    result = onnx.load(target, load_external_data=False)
    original = onnx.load(source, load_external_data=False)
    nodes, domains = count(result.graph)
    before, own = count(original.graph)
    foreign = sorted(domains - own - {"", "ai.onnx", "ai.onnx.ml"})
    given = {i.name for i in original.graph.input} if original.ir_version >= 4 else set()
    lost = len(given - {i.name for i in result.graph.input})
    out = {"before": before, "nodes": nodes, "foreign": foreign, "lost": lost, "difference": None}
    try:
        first = session(source)
        feeds = [made_inputs(first, seed, source) for seed in (0, 1)]
        wanted = [first.run(None, feed) for feed in feeds]
    except Exception as error:  # what ONNX Runtime cannot run here says nothing of the result
        out["not_run"] = str(error).splitlines()[0][:200]
        return out
    try:
        second = session(target)
        out["difference"] = max(difference(want, second.run(None, feed))
                                for feed, want in zip(feeds, wanted))
    except Exception as error:
        out["broken"] = str(error).splitlines()[0][:200]
    return out


def child(tool, source, target, rulec):
    if tool == "rulec":
        done = subprocess.run([rulec, "rewrite", source, "-r", "std", "-o", target],
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1][:200])
    else:
        simplify(tool, source, target)
    print("\n" + json.dumps(judge(source, target)))


# ---- All of them ---------------------------------------------------------------------------------


def measure(tool, source, rulec):
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--child", tool, str(source),
                   str(pathlib.Path(folder, "out.onnx")), str(rulec)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return {"failed": f"more than {SECONDS} s"}
    if done.returncode:
        lines = [x for x in done.stderr.strip().splitlines() if x.strip()]
        return {"failed": lines[-1][:200] if lines else f"status {done.returncode}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def cell(result):
    if "failed" in result:
        return "fails"
    off = result["difference"] is not None and result["difference"] > TOLERANCE
    marks = ("*" if result["foreign"] else "") + ("−" if result.get("lost") else "") + ("!" if "broken" in result else "≠" if off else "")
    return f"{result['nodes']}{marks}"


def fair(result):
    """A result that counts: it loads, takes the original's inputs and gives its numbers, and its
    operators are ONNX's."""
    off = result.get("difference") is not None and result["difference"] > TOLERANCE
    return not ("failed" in result or "broken" in result or off or result.get("lost")
                or result["foreign"])


def table(results):
    lines = ["| model | nodes | rulec | " + " | ".join(PEERS) + " | |",
             "|---|---:|---:|" + "---:|" * len(PEERS) + "---|"]
    behind = 0
    for name, row in sorted(results.items()):
        ours = row["rulec"]
        best = min([row[p]["nodes"] for p in PEERS if fair(row[p])], default=None)
        note = "" if ours.get("difference") is not None else "numbers not compared"
        if best is not None and ours.get("nodes", 1 << 30) > best:
            behind += 1
            note = f"**behind: {best}**"
        before = next(r["before"] for r in row.values() if "before" in r)
        cells = [cell(ours)] + [cell(row[p]) for p in PEERS]
        lines.append(f"| {name} | {before} | " + " | ".join(cells) + f" | {note} |")
    return "\n".join(lines) + "\n", behind


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only models whose path holds one of these")
    parser.add_argument("--rulec", required=True)
    parser.add_argument("--models", default=MODELS, type=pathlib.Path)
    parser.add_argument("--keep", help="a file of peers' results")
    parser.add_argument("--table", help="write the table there too")
    options = parser.parse_args()
    kept = {}
    if options.keep and os.path.exists(options.keep):
        kept = json.loads(pathlib.Path(options.keep).read_text())
    results = {}
    for path in sorted(options.models.rglob("*.onnx")):
        name = path.relative_to(options.models).as_posix()
        if options.names and not any(part in name for part in options.names):
            continue
        row = results[name] = dict(kept.get(name, {}))
        for peer in PEERS:
            if peer not in row:
                row[peer] = measure(peer, path, options.rulec)
        kept[name] = {peer: row[peer] for peer in PEERS}
        if options.keep:
            pathlib.Path(options.keep).write_text(json.dumps(kept, indent=1))
        row["rulec"] = measure("rulec", path, options.rulec)
        print(name, " ".join(f"{t}={cell(r)}" for t, r in row.items()),
              row["rulec"].get("failed") or row["rulec"].get("broken") or "", flush=True)
    text, behind = table(results)
    if options.table:
        pathlib.Path(options.table).write_text(text)
    print(text)
    print(f"{len(results)} models, {behind} where a peer is smaller")
    return 1 if behind or any("broken" in r["rulec"] or "failed" in r["rulec"] or not fair(r["rulec"] | {"foreign": []})
                              for r in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
