"""Looks the pinned versions up among known vulnerabilities, and says how many of them could be looked up at all.

`python .ci/audit.py constraints.txt` runs pip-audit and fails only for a vulnerability that was found: a machine
without network, or an index without advisories, must not stop work, but must not pass for an audit either.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

COMMAND = ("-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")


def run_audit(constraints: Path) -> tuple[str, str]:
    """What pip-audit prints: its report as JSON, and its complaints."""
    command = [sys.executable, *COMMAND, "--requirement", str(constraints)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout, result.stderr


def judge(report: str, complaints: str, *, pinned: int) -> tuple[int, list[str]]:
    """The exit code and what to say. report: as JSON, or empty where pip-audit came to none."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        why = (complaints.strip().splitlines() or ["it said nothing"])[-1]
        return 0, [f"audit: NOT DONE: advisories could not be reached; 0 of {pinned} packages were audited", f"  {why}"]
    audited = [package for package in packages if "skip_reason" not in package]
    found = [(package, fault) for package in audited for fault in package["vulns"]]
    lines = [f"audit: {len(audited)} of {pinned} packages were audited, {len(found)} known vulnerabilities"]
    if len(audited) < pinned:
        lines.append(f"audit: NOT COMPLETE: there are no advisories here for {pinned - len(audited)} packages")
    for package, fault in found:
        fixed = ", ".join(fault["fix_versions"]) or "no version yet"
        lines.append(f"  {package['name']} {package['version']}: {fault['id']}, fixed in {fixed}")
    return (1 if found else 0), lines


def count_pins(constraints: Path) -> int:
    """Lines that pin a version."""
    return sum("==" in line.partition("#")[0] for line in constraints.read_text(encoding="utf-8").splitlines())


def main(constraints: Path) -> int:
    """Print the judgement and give the exit code."""
    code, lines = judge(*run_audit(constraints), pinned=count_pins(constraints))
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
