"""What an environment can have without a download: the packages that this interpreter has already.

A package in exactly the wanted version is hard-linked from the environment that runs this into the
new one, file by file: it takes no room and no network, and the new environment still holds what it
is to hold and nothing else. Installers replace files and never write into one, so that neither
environment sees what is later done to the other.
"""

import os
import re
import shutil
import sysconfig
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

__all__ = ["share_installed"]

# A whole line: what stands under a condition or with options is left to the installer.
_PIN = re.compile(r"^([\w.-]+)==([\w.!+-]+)\s*(?:#.*)?$", re.MULTILINE)
# Others, conda for one, may put files outside the folder, which those inside look for.
_INSTALLERS = frozenset({"pip", "uv"})


def share_installed(wanted: str, folder: Path) -> list[str]:
    """Link the packages that are here in the wanted version into a new environment.

    Args:
        wanted: the text of a requirements file.
        folder: the environment, made by this same interpreter.

    Returns:
        The packages' names. The rest is left to an installer, which finds these installed.
    """
    base = {"base": str(folder), "platbase": str(folder)}
    to = Path(sysconfig.get_path("purelib", "venv", base))
    shared = []
    for name, version in _PIN.findall(wanted):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        files = _own_files(found)
        if found.version == version and files:
            for file in files:
                _link(Path(str(found.locate_file(file))), to / file)
            shared.append(name)
    return shared


def _own_files(found: Distribution) -> list[PurePosixPath]:
    """Its files in site-packages; none if it was not installed whole and as released."""
    installer = (found.read_text("INSTALLER") or "").strip()
    if installer not in _INSTALLERS or not found.read_text("RECORD"):
        return []
    if found.read_text("direct_url.json"):  # from a folder or an archive: whose version says little
        return []
    # Commands and headers are outside, and name the environment they are in.
    listed = [PurePosixPath(file) for file in found.files or []]
    inside = [file for file in listed if ".." not in file.parts and not file.is_absolute()]
    here = [file for file in inside if Path(str(found.locate_file(file))).is_file()]
    lost = set(inside) - set(here)
    return [] if any(file.suffix != ".pyc" for file in lost) else here


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:  # two packages may have one file, of a namespace that both are in
        pass
    except OSError:  # another file system, or one that has no links
        shutil.copy2(source, target)
