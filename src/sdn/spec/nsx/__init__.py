"""Exports of NSX's Policy API and fabric inventory: trees, list responses, or several of them in one file."""

from sdn.spec.nsx.answers import is_nsx

__all__ = ["is_nsx"]
