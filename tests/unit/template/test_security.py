"""The security review's exceptions are explained, and its audit neither hides holes nor needs the network."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.security.audit import main
from tests.unit.template.template import ROOT


def test_every_exception_has_its_reason_above_it() -> None:
    lines = (ROOT / "infra" / "security" / "checkov.yaml").read_text().splitlines()
    above = ""
    for line in lines:
        if re.fullmatch(r"  - CKV_\w+", line):
            assert above.startswith("  #") or re.fullmatch(r"  - CKV_\w+", above), line
        above = line


def answered(monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str = "") -> None:
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([sys.executable], 0, stdout, stderr)

    monkeypatch.setattr(subprocess, "run", run)


def test_a_hole_fails_and_names_what_closes_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hole = {"id": "CVE-1", "fix_versions": ["2.0"]}
    packages = [
        {"name": "a", "version": "1.0", "vulns": [hole]},
        {"name": "b", "version": "1.0", "vulns": []},
    ]
    answered(monkeypatch, json.dumps({"dependencies": packages}))
    assert main(["lock.txt"]) == 1
    assert "a 1.0: CVE-1, closed by 2.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stdout", "stderr"),
    [
        ("", "ConnectionError: no network"),
        ('{"dependencies": [{"name": "a", "skip_reason": "no network"}]}', ""),
    ],
)
def test_without_data_it_says_so_and_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stdout: str, stderr: str
) -> None:
    answered(monkeypatch, stdout, stderr)
    assert main([str(Path("a") / "lock.txt")]) == 0
    assert re.match(r"lock.txt: NOT AUDITED, .*no network\n", capsys.readouterr().out)
