"""What the documentation's site needs beyond the pages: the commands from the program itself, the decisions, and links.

A hook of mkdocs. A page may link to a file of the checkout that is no page (`../examples/...`): on the site,
which is read without a checkout, the link is the file's path. A file that is not there ends a strict build.
"""

import logging
import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#]+)(#[^)]*)?\)")
TOP = Path(__file__).parents[1]
log = logging.getLogger("mkdocs.hooks.site")  # a warning there counts in a strict build


def on_files(files: Any, config: Any) -> Any:
    """Add the page of commands."""
    asked = [
        sys.executable,
        "-m",
        "typer",
        "crashinit.cli",
        "utils",
        "docs",
        "--name",
        "crashinit",
        "--title",
        "Commands",
    ]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    files.append(File.generated(config, "commands.md", content=said))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make links to what is no page text."""

    def shown(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), link[2]))
        if target.startswith("docs/"):
            return link[0]
        if not (TOP / target).exists():
            log.warning("'%s' links to '%s', which is not there", page.file.src_uri, link[2])
        return link[1] if link[1].strip("`") == target else f"{link[1]} (`{target}`)"

    return LINK.sub(shown, markdown)
