# SPDX-License-Identifier: Apache-2.0
"""Every example of the pages: the blocks of docs/language.md check (and their tests pass), those of
docs/diagnostics.md give the diagnostic that they stand under.

    docs_test.py RULEC DOCS
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^(?:##[^\n]*\n)*(rule|template|predicate|param) ", re.MULTILINE)


def run(rulec, *arguments):
    return subprocess.run([rulec, *map(str, arguments)], capture_output=True, text=True)


def check_language(rulec, page, folder):
    """The blocks of the page's text; what earlier blocks declare is in sight of later ones."""
    text = page.read_text().split("\n## Grammar\n")[0]
    (folder / "local.rules").write_text("predicate of_the_file(c) = size(c) == 1\n")
    before, wrong, count = "", [], 0
    for match in BLOCK.finditer(text):
        block = match.group(1)
        line = text.count("\n", 0, match.start()) + 2
        alone = block.startswith("package ")
        path = folder / f"language_{line}.rules"
        path.write_text(block if alone else before + block)
        count += 1
        result = run(rulec, "check", path)
        if result.returncode != 0:
            wrong.append(f"{page.name}:{line}: does not check\n{result.stderr}")
        elif 'test "' in block:
            result = run(rulec, "test", path)
            if result.returncode != 0:
                wrong.append(f"{page.name}:{line}: its test fails\n{result.stdout}{result.stderr}")
        if not alone and NAMED.search(block) and "test \"" not in block:
            before += block + "\n"
    return count, wrong


def check_diagnostics(rulec, page, folder):
    """Each section's first block gives the kind that is its title."""
    wrong, count = [], 0
    for title, body in re.findall(r"^### `([a-z-]+)`\n(.*?)(?=^##|\Z)", page.read_text(),
                                  re.MULTILINE | re.DOTALL):
        block = BLOCK.search(body)
        if not block:
            continue
        count += 1
        path = folder / f"{title}.rules"
        path.write_text(block.group(1))
        result = run(rulec, "check", "--json", path)
        try:
            kinds = [one["kind"] for one in json.loads(result.stdout)["diagnostics"]]
        except json.JSONDecodeError:
            kinds = re.findall(r"\[([a-z-]+)\]$", result.stderr, re.MULTILINE)
        if title not in kinds:
            wrong.append(f"{page.name}: the block of `{title}` gives {kinds} {result.stderr}")
    return count, wrong


def check_ports(folder):
    """Each rule and test that the table of examples/ports names stands in its rule file."""
    page, rules = (folder / "README.md").read_text(), (folder / "ports.rules").read_text()
    rows = re.findall(r"^\| (\d+) \| .*? \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    wrong = [] if [int(row[0]) for row in rows] == list(range(1, 26)) else ["rows are missing"]
    for number, answer, test in rows:
        named = re.search(r"rules? ((?:`\w+`(?:, )?)+)", answer)
        for rule in re.findall(r"`(\w+)`", named.group(1)) if named else []:
            if f"\nrule {rule}" not in rules:
                wrong.append(f"ports/README.md, row {number}: there is no rule `{rule}`")
        for title in re.findall(r'"([^"]*)"', test):
            if f'\ntest "{title}"' not in rules:
                wrong.append(f"ports/README.md, row {number}: there is no test \"{title}\"")
    return len(rows), wrong


def main():
    rulec, docs = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        blocks, wrong = check_language(rulec, docs / "language.md", folder)
        kinds, more = check_diagnostics(rulec, docs / "diagnostics.md", folder)
    rows, odd = check_ports(docs.parent / "examples/ports")
    more += odd
    for text in wrong + more:
        print(text)
    print(f"{blocks} blocks of language.md, {kinds} of diagnostics.md, {rows} rows of ports, "
          f"{len(wrong + more)} wrong")
    sys.exit(1 if wrong + more or blocks < 10 or kinds < 20 else 0)


if __name__ == "__main__":
    main()
