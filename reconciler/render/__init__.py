"""Plans, outcomes, problems and manifests as text, JSON, Markdown and HTML: pure functions, one file a format."""
