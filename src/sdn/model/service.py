"""Services: virtual addresses with backends."""

from __future__ import annotations

from msgspec import Struct

from sdn.model.workload import Protocol


class ServicePort(Struct, frozen=True, order=True):
    """`port` is what clients use; `target` is the backend's port, by number or by the name the backend gives it."""

    port: int
    target: int | str
    protocol: Protocol = Protocol.TCP
    name: str = ""


class Service(Struct, frozen=True):
    """A virtual address inside an Application; its Backends are the workloads of its namespace that `selector` matches.

    A Service without `addresses` is headless: a name only, nothing is balanced. An empty `selector` matches nothing.
    Backends are looked up per port: a workload that lacks a named target port is no backend of that port.
    """

    namespace: str
    name: str
    application: str
    selector: dict[str, str]
    ports: tuple[ServicePort, ...]
    addresses: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/name`, unique among Services."""
        return f"{self.namespace}/{self.name}"
