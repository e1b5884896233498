"""What the site has besides docs/: pages that lie at the repository's root, and one for each cause in the menu."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
BROUGHT = {
    "architecture.md": "ARCHITECTURE.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
    "skill.md": "diagnostics/cli/agents/SKILL.md",
}


def on_config(config: Any) -> Any:
    pages = sorted(path.name for path in (ROOT / "docs" / "causes").glob("*.md") if path.name != "README.md")
    config.nav = [{"Causes": [f"causes/{name}" for name in ["README.md", *pages]]} if "Causes" in part else part
                  for part in config.nav]  # fmt: skip
    return config


def on_files(files: Files, config: Any) -> Files:
    for name, source in BROUGHT.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text("utf-8")))
    return files
