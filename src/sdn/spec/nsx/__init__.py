"""Exports of NSX's Policy API and fabric inventory: trees, list responses, or several of them in one file."""

from sdn.spec.nsx.read import is_nsx, read

__all__ = ["is_nsx", "read"]
