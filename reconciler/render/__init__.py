"""Plans, outcomes, problems and manifests as text and JSON: pure functions, one file a format."""
