# SPDX-License-Identifier: Apache-2.0
"""The sessions of docs/rulec.md and README.md are what the command says: each `$ rulec …` is run
again, in a folder with the files that the page speaks of. A line `…` of the page stands for any
lines; how long something took is not compared.

    sessions_test.py RULEC ROOT [--record]

--record writes what the command says now into the page, except into sessions with a `…`.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```\n(\$ rulec .*?)^```$", re.MULTILINE | re.DOTALL)
NOTHING = "…"
SECONDS = re.compile(r"\b[0-9.]+ (s|ms|us)\b")
LEAST = {"docs/rulec.md": 10, "README.md": 8}  # sessions, lest the pattern finds none

FILES = {
    "typo.rules": "BatchNormalisation(x, _...) -> x\n",
    "unbound.rules": "rule plus: Add(x, bias) -> Sub(x, biass)\n",
    "mine.rules": "rule right exact: Relu(Relu(x)) -> Relu(x)\n"
    "rule wrong: Mul(x, 2.0) -> Add(Abs(x), Abs(x))\n",
    "net.onnxtxt": '<ir_version: 8, opset_import: ["" : 17]>\n'
    "main (float[2,3] x) => (float[2,3] y) <float two = {2}>\n"
    "{ a = Relu(x) b = Relu(a) c = Neg(b) y = Mul(c, two) }\n",
    "unknown.onnxtxt": '<ir_version: 8, opset_import: ["" : 17]>\n'
    "main (float[2,3] x) => (float[2,3] y) { a = Frobnicate(x) y = Relu(a) }\n",
    "open.onnxtxt": '<ir_version: 8, opset_import: ["" : 17]>\n'
    "main (float[n,3] x) => (int64[m,2] y) <int64 one = {1}>\n"
    "{ a = NonZero(x) b = Transpose<perm = [1, 0]>(a) y = Mul(b, one) }\n",
    "none.rules": "rule nothing exact: Floor(Floor(x)) -> Floor(x)\n",
    "guard.rules": "rule few: Mul(x, 1) -> x  where dim(x, 0) < 100\n",
}


def prepare(rulec, root, folder):
    readme = (root / "README.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    (folder / "examples").symlink_to(root / "examples")
    FILES["first.rules"] = next(b for b in blocks if b.startswith("## A product with one"))
    FILES["first.onnxtxt"] = next(b for b in blocks if b.startswith("<ir_version"))
    for name, text in FILES.items():
        (folder / name).write_text(text)
    shapes = root / "examples/shapes"
    for name in ("card.rules", "labels.txt", "shapes.onnx", "pictures/1000003.png"):
        shutil.copy(shapes / name, folder)
    shutil.copy(shapes / "pictures/1000003.png", folder / "picture.png")
    (folder / "truncated.onnx").write_bytes((shapes / "shapes.onnx").read_bytes()[:60000])
    for command in (
        "rewrite shapes.onnx -r card.rules -o card.onnx",
        "rewrite net.onnxtxt -r none.rules -o net.onnx",
        "rewrite net.onnx -r mine.rules -o out.onnx",
    ):
        run(rulec, folder, command)


def run(rulec, folder, command):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RULEC")}
    return subprocess.run(
        [rulec, *shlex.split(command)], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ).stdout


def matches(expected, found):
    """Whether the lines are the same, `…` standing for any and times for each other."""
    if not expected:
        return not found
    if expected[0].strip() == NOTHING:
        return any(matches(expected[1:], found[i:]) for i in range(len(found) + 1))
    same = bool(found) and SECONDS.sub("", expected[0]) == SECONDS.sub("", found[0])
    return same and matches(expected[1:], found[1:])


def check(rulec, root, page, record):
    """The sessions of one page that differ."""
    text, wrong, count = page.read_text(), [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(rulec, root, folder)

        def again(block):
            nonlocal count
            out = ""
            for session in re.split(r"^(?=\$ )", block.group(1), flags=re.MULTILINE)[1:]:
                first, _, expected = session.partition("\n")
                found = run(rulec, folder, first.removeprefix("$ rulec "))
                count += 1
                if matches(expected.splitlines(), [line.rstrip() for line in found.splitlines()]):
                    out += session
                    continue
                wrong.append(f"{first}\n--- the page\n{expected}--- the command\n{found}")
                open_ended = any(line.strip() == NOTHING for line in expected.splitlines())
                out += session if open_ended else f"{first}\n{found}"
            return f"```\n{out}```"

        told = BLOCK.sub(again, text)
    for one in wrong:
        print(one)
    print(f"{count} sessions of {page.name}, {len(wrong)} differ")
    if record:
        page.write_text(told)
    return (wrong and not record) or count < LEAST[str(page.relative_to(root))]


def main():
    rulec, root = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    bad = [page for page in LEAST if check(rulec, root, root / page, "--record" in sys.argv)]
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
