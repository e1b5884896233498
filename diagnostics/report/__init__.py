"""What a collection and its diagnosis look like: terminal, HTML, Markdown, trace viewers. No I/O in here."""
