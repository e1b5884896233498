"""What programs that act for a user call instead of the command line: tools of the Model Context Protocol."""

from importlib import resources


def skill() -> str:
    """When and how to use the tools, for an agent: Markdown with a front matter of YAML."""
    return resources.files(__name__).joinpath("SKILL.md").read_text("utf-8")


def instructions() -> str:
    """The skill without its front matter."""
    return skill().partition("\n---\n")[2].strip()
