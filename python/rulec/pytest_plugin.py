# SPDX-License-Identifier: Apache-2.0
"""Collects the tests in .rules files:  pytest rules/"""

import json

import pytest

from .commands import _run


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".rules":
        return RuleFile.from_parent(parent, path=file_path)
    return None


class RuleFile(pytest.File):
    def collect(self):
        result = _run("test", self.path, "--json")
        try:
            tests = json.loads(result.stdout)["tests"]
        except ValueError:
            raise self.CollectError(result.stderr) from None
        for i, test in enumerate(tests):
            yield RuleTest.from_parent(self, name=test["title"] or f"test {i + 1}", test=test)


class RuleTest(pytest.Item):
    def __init__(self, *, test, **others):
        super().__init__(**others)
        self.test = test

    def runtest(self):
        if not self.test["passed"]:
            pytest.fail(self.test["why"], pytrace=False)

    def reportinfo(self):
        return self.path, self.test["line"] - 1, self.name
