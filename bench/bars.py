# SPDX-License-Identifier: Apache-2.0
"""How fast a rewrite must be, bar by bar: measured, bar, held or not.

    bars.py RULEC GRAPHS [--peers ../shared/bench/peers] [--repeats 5] [--cpu] [--only NAME ...]

RULEC is the command of a release build. GRAPHS is a folder that the peers' gen_graphs.py fills; what
is missing there and needs no exporter is made (gelu_13k, gelu_100k, big_weights, a million nodes).
Results are written to --out, a folder in memory unless told otherwise: rulec returns when what it
wrote is safe on the disk, the peers before, so that on a disk its speed would be measured.
swin_s_ts.onnx comes from `gen_graphs.py GRAPHS real`, which needs torch; without it its rows are not
measured. A figure is the least of the repeats: whole processes from spawn to exit, the rewrite call
alone as the report tells it, memory from the kernel. With --cpu the whole is processor time (user and
system), for a machine that others use too: it counts both threads, so it is never below a quiet
machine's wall clock by much. Exit status 1 when a bar is not held.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import onnx
from onnx import TensorProto, helper

# Twelve nested sums whose innermost operand never fits: the worst case of a commutative pattern.
NESTING = 12


def generate(peers, graphs, name):
    path = graphs / f"{name}.onnx"
    if path.exists():
        return path
    if name == "gelu_1m":
        source = (peers / "gen_graphs.py").read_text().replace("\nmain()\n", "\n")
        made = {"__name__": "gen_graphs"}
        exec(compile(source, "gen_graphs.py", "exec"), made)
        path.write_bytes(made["transformer"](1_000_000).SerializeToString(deterministic=True))
    elif name == "nested":
        path.write_bytes(nested().SerializeToString(deterministic=True))
    else:
        subprocess.run([sys.executable, peers / "gen_graphs.py", graphs, name], check=True)
    return path


def nested(chains=1000):
    nodes = []
    for chain in range(chains):
        value = f"a{chain}"
        nodes.append(helper.make_node("Abs", ["x"], [value]))
        for i in range(NESTING):
            other, result = f"r{chain}_{i}", f"s{chain}_{i}"
            nodes.append(helper.make_node("Relu", ["x"], [other]))
            nodes.append(helper.make_node("Add", [value, other], [result]))
            value = result
    ports = [helper.make_tensor_value_info(f"s{chain}_{NESTING - 1}", TensorProto.FLOAT, [4])
             for chain in range(chains)]
    graph = helper.make_graph(
        nodes, "nested", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])], ports)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def nested_rule(modifier):
    pattern = "Neg(x)"
    for i in range(NESTING):
        pattern = f"{modifier}Add({pattern}, Relu(y{i}))"
    return f"rule never: {pattern} -> Abs(x)\n"


def watch(process, peak):
    """The most memory that is not a file's: sampled, since the kernel keeps no peak of it."""
    status = f"/proc/{process.pid}/status"
    while process.poll() is None:
        try:
            for line in pathlib.Path(status).read_text().splitlines():
                if line.startswith("RssAnon"):
                    peak[0] = max(peak[0], int(line.split()[1]))
        except OSError:
            return
        time.sleep(0.002)


class Runs:
    """Runs of one command line; each figure is the least of its repeats."""

    def __init__(self, options):
        self.options, self.known = options, {}

    def __call__(self, graph, rules):
        key = (str(graph), str(rules))
        if key not in self.known:
            runs = [self.once(graph, rules) for _ in range(self.options.repeats)]
            self.known[key] = {name: min(run[name] for run in runs) for name in runs[0]}
        return self.known[key]

    def once(self, graph, rules):
        with tempfile.TemporaryDirectory(dir=self.options.out) as folder:
            out, report = pathlib.Path(folder, "out.onnx"), pathlib.Path(folder, "report.json")
            command = [self.options.rulec, "rewrite", graph, "-r", rules, "-o", out]
            start = time.perf_counter()
            messages = open(pathlib.Path(folder, "messages"), "w+")
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=messages)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            if status != 0:
                messages.seek(0)
                sys.exit(f"{' '.join(map(str, command))}: {messages.read()}")
            process.returncode = 0
            nodes = sum(1 for _ in onnx.load(out, load_external_data=False).graph.node)
            # The report and the sampling cost time: runs of their own.
            process = subprocess.Popen([*command, "--report", report], stderr=subprocess.DEVNULL)
            anonymous = [0]
            thread = threading.Thread(target=watch, args=(process, anonymous))
            thread.start()
            thread.join()
            told = json.loads(report.read_text())
            seconds = usage.ru_utime + usage.ru_stime if self.options.cpu else wall
            return {"whole": seconds, "rewrite": told["seconds"]["match"],
                    "mb": usage.ru_maxrss / 1024, "own_mb": anonymous[0] / 1024, "nodes": nodes,
                    "tests": sum(rule["tests"] for rule in told["rules"])}


def bars(options, run):
    """Rows of (name, unit, measured, bar)."""
    peers, graphs = options.peers, options.graphs
    one, hundred = peers / "rules" / "rules_1.rules", peers / "rules" / "rules_100.rules"

    def gelu(size):
        return generate(peers, graphs, f"gelu_{size}")

    def gelu_13k():
        found = run(gelu("13k"), one)
        yield "gelu_13k, whole", "s", found["whole"], 0.10
        yield "gelu_13k, rewrite", "s", found["rewrite"], 0.008

    def gelu_100k():
        found = run(gelu("100k"), one)
        yield "gelu_100k, whole", "s", found["whole"], 0.50
        yield "gelu_100k, rewrite", "s", found["rewrite"], 0.06
        yield "gelu_100k, peak", "MB", found["mb"], 260

    def swin_s():
        path = graphs / "swin_s_ts.onnx"
        found = run(path, one) if path.exists() else {"whole": None, "own_mb": None}
        yield "swin_s, whole", "s", found["whole"], 0.35
        yield "swin_s, peak beyond file pages", "MB", found["own_mb"], 60

    def big_weights():
        found = run(generate(peers, graphs, "big_weights"), one)
        yield "big_weights, whole", "s", found["whole"], 0.15
        yield "big_weights, peak beyond file pages", "MB", found["own_mb"], 50

    def many_rules():
        single, many = run(gelu("13k"), one), run(gelu("13k"), hundred)
        more = many["whole"] - single["whole"]
        yield "100 rules, times 1 rule", "x", many["whole"] / single["whole"], 1.3
        yield "100 rules, each further rule", "ms", max(0.0, more) / 99 * 1000, 0.1

    def million():
        large, huge = run(gelu("100k"), one), run(gelu("1m"), one)
        yield "1M nodes, times 100k", "x", huge["whole"] / large["whole"], 12

    def commutative():
        path = generate(peers, graphs, "nested")
        found = []
        for modifier in ("", "ordered "):
            rule = graphs / f"nested_{modifier.strip() or 'commutative'}.rules"
            rule.write_text(nested_rule(modifier))
            found.append(run(path, rule))
        yield ("12 nested commutative, times ordered", "x",
               found[0]["rewrite"] / found[1]["rewrite"], 2)

    def std():
        small, large = run(gelu("13k"), "std"), run(gelu("100k"), "std")
        yield "-r std on gelu_13k, whole", "s", small["whole"], 0.3
        yield "-r std on gelu_13k, nodes", "", small["nodes"], 6156
        yield "-r std on gelu_100k, whole", "s", large["whole"], 2.5

    groups = {"gelu_13k": gelu_13k, "gelu_100k": gelu_100k, "swin_s": swin_s,
              "big_weights": big_weights, "many_rules": many_rules, "million": million,
              "commutative": commutative, "std": std}
    for name, group in groups.items():
        if not options.only or name in options.only:
            yield from group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rulec", type=pathlib.Path)
    parser.add_argument("graphs", type=pathlib.Path)
    root = pathlib.Path(__file__).resolve().parents[1]
    parser.add_argument("--peers", type=pathlib.Path,
                        default=root.parent / "shared" / "bench" / "peers")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default="/dev/shm",
                        help="folder for the results (default: %(default)s)")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    options.rulec = options.rulec.resolve()
    options.graphs.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("RULEC_PATH", str(root / "rules"))
    missed = 0
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, "
          f"{'processor time' if options.cpu else 'wall clock'}, least of {options.repeats}\n")
    print("| bar | measured | at most | held |\n|---|---:|---:|---|")
    for name, unit, measured, most in bars(options, Runs(options)):
        if measured is None:
            print(f"| {name} | – | {most:g} {unit} | not measured |", flush=True)
            continue
        missed += measured > most
        figure = f"{measured:.3g}" if unit else f"{measured:.0f}"
        held = "yes" if measured <= most else "**no**"
        print(f"| {name} | {figure} {unit} | {most:g} {unit} | {held} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
