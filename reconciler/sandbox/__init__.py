"""A strict stand-in for the Cloudflare Workers Builds API, for trying out, for pipelines and for tests."""

from reconciler.sandbox.envelope import Response
from reconciler.sandbox.fault_spec import FaultError
from reconciler.sandbox.faults import CutError
from reconciler.sandbox.sandbox import Sandbox
from reconciler.sandbox.seed_shape import SeedError
from reconciler.sandbox.store import StoreError

__all__ = ["CutError", "FaultError", "Response", "Sandbox", "SeedError", "StoreError"]
