"""Prepare a release: `make release VERSION=0.2.0 OWNER=name`. Changes files; commits nothing.

Writes the version and the owner into pyproject.toml and has towncrier collect the changelog.
`--check TAG` instead says whether the tree is what a tag of that name should publish.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

__all__ = ["prepared", "problems"]

ROOT = Path(__file__).parent.parent
PLACEHOLDER = "OWNER"
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")


def prepared(project: str, version: str, owner: str | None) -> str:
    """The text of pyproject.toml with this version and owner.

    Args:
        project: its text now.
        version: such as `0.2.0` or `0.2.0rc1`.
        owner: the account that publishes; may be left out once the file has one.

    Raises:
        ValueError: the version or the owner is none, or there is no owner yet.
    """
    if not VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is no version; write one like 0.2.0 or 0.2.0rc1")
    if owner is not None and not OWNER.fullmatch(owner):
        raise ValueError(f"{owner!r} is no name of an account")
    project, count = re.subn(r'(?m)^version = "[^"]*"$', f'version = "{version}"', project)
    if count != 1:
        raise ValueError(f"pyproject.toml has {count} lines `version = …`, not one")
    placeholder = re.compile(rf"\b{PLACEHOLDER}\b(?=/antiphon|\.github\.io)")
    if placeholder.search(project) and owner is None:
        raise ValueError("pyproject.toml has no owner yet: add OWNER=name")
    return placeholder.sub(owner or PLACEHOLDER, project)


def problems(project: str, tag: str) -> list[str]:
    """Why a tag of this name must not publish what is here; empty when it may."""
    found = []
    version = tomllib.loads(project)["project"]["version"]
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, the version is {version}")
    if f"/{PLACEHOLDER}/" in project:
        found.append(f"pyproject.toml still says {PLACEHOLDER}; run `make release` first")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version")
    parser.add_argument("--owner")
    parser.add_argument("--check", metavar="TAG")
    args = parser.parse_args()
    path = ROOT / "pyproject.toml"
    if args.check is not None:
        found = problems(path.read_text(), args.check)
        for problem in found:
            print(f"not to be published: {problem}", file=sys.stderr)
        return 1 if found else 0
    if not args.version:
        parser.error("give --version (make release VERSION=0.2.0 OWNER=name)")
    try:
        text = prepared(path.read_text(), args.version, args.owner or None)
    except ValueError as wrong:
        parser.error(str(wrong))
    path.write_text(text)
    towncrier = [sys.executable, "-m", "towncrier", "build", "--yes", "--version", args.version]
    subprocess.run(towncrier, cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
