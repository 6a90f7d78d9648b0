# SPDX-License-Identifier: Apache-2.0
"""Is the grammar that docs/language.md shows the one that grammar/peg.h parses? Random token mutations of rule texts go
through both our parser and an interpreter of the page's grammar; the two must agree on what is a rule file.

usage: second_opinion_test.py RULEC_PARSE_ONLY LANGUAGE_MD PEG_PY RULES…
Exit code 77 (skipped) where PEG_PY, which lies outside the repository, is absent."""
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile

COUNT, SEED, CHUNK = 500, 20261121, 100
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`\n]*`|[A-Za-z_][A-Za-z0-9_]*|[0-9][0-9.]*|->|→|::|\.\.\.|\.\.|[=!<>]=|\s+|.')


def load_interpreter(peg_py, language_md):
    spec = importlib.util.spec_from_file_location("peg", peg_py)
    peg = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peg)
    # The page's `dotted` is made of a name and words; the interpreter's own is wider.
    name, word = peg.LEX["name"].pattern, peg.LEX["word"].pattern
    peg.LEX["dotted"] = re.compile(r"%s(?:\.%s)*" % (name, word))
    peg.LEX["op_name"] = re.compile(r"(?:%s(?:\.%s)*::)?[A-Z][A-Za-z0-9_]*|`[^`\n]+`" % (name, word))
    page = open(language_md, encoding="utf-8").read()
    grammar = page[page.index("## Grammar"):].split("```")[1]
    return peg, peg.load(grammar)


def items(text):
    """The text cut before each line that begins an item, so that mutants are small."""
    out, lines = [], []
    for line in text.splitlines(keepends=True):
        if re.match(r"[A-Za-z`(]", line) and lines and not re.match(r"(where|let|match|emit|for)\b", line):
            out.append("".join(lines))
            lines = []
        lines.append(line)
    return [x for x in out + ["".join(lines)] if x.strip()]


def mutate(rng, text, pool):
    tokens = TOKEN.findall(text)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        at = rng.randrange(len(tokens))
        kind = rng.randrange(5)
        if kind == 0:
            tokens.pop(at)
        elif kind == 1:
            tokens.insert(at, rng.choice(pool))
        elif kind == 2:
            tokens[at] = rng.choice(pool)
        elif kind == 3:
            tokens.insert(at, tokens[rng.randrange(len(tokens))])
        else:
            other = rng.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        if not tokens:
            return " "
    return "".join(tokens)


def main():
    parse_only, language_md, peg_py, *files = sys.argv[1:]
    if not os.path.exists(peg_py):
        print("skipped: %s is not there" % peg_py)
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    peg, grammar = load_interpreter(peg_py, language_md)
    corpus = [item for f in files for item in items(open(f, encoding="utf-8").read())]
    corpus = [re.sub(r" *#!.*", "", text) for text in corpus]
    pool = sorted({t for text in corpus for t in TOKEN.findall(text) if not t.startswith("#")})
    seed = int(os.environ.get("RULEC_SEED", SEED))
    rng = random.Random(seed)
    count = int(os.environ.get("RULEC_COUNT", COUNT))
    texts = corpus + [mutate(rng, rng.choice(corpus), pool) for _ in range(count)]
    accepted = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i, text in enumerate(texts):
            paths.append(os.path.join(folder, "%d.rules" % i))
            open(paths[-1], "w", encoding="utf-8", newline="").write(text)
        ours = []
        for i in range(0, len(paths), CHUNK):
            run = subprocess.run([parse_only] + paths[i:i + CHUNK], capture_output=True, encoding="utf-8", check=True)
            ours += run.stdout.splitlines()
        assert len(ours) == len(texts), (len(ours), len(texts))
        for text, line in zip(texts, ours):
            parser = peg.Parser(grammar, text)
            theirs = parser.parse() is not None
            accepted += theirs
            if (line == "ok") != theirs:
                wrong += 1
                print("---- ours: %s; the page's grammar: %s\n%s" % (line, "ok" if theirs else parser.error(), text))
    print("%d texts (seed %d), %d accepted, %d disagreements" % (len(texts), seed, accepted, wrong))
    sys.exit(1 if wrong or accepted < len(texts) // 10 else 0)


main()
