"""The local proxy beside one Claude Code, and the tools around it."""
