"""Keep the configuration of Cloudflare Workers Builds in Git."""

__version__ = "0.1.0"
