"""UserDefinedNetwork and ClusterUserDefinedNetwork as they are written.

Source: go-controller/pkg/crd/userdefinednetwork/v1 of ovn-org/ovn-kubernetes.
"""

# ruff: noqa: RUF012 - pydantic copies mutable defaults for every object

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from sdn.spec.kubernetes.fields import Written
from sdn.spec.kubernetes.schema import Metadata
from sdn.spec.kubernetes.schema_cluster import ClusterMetadata
from sdn.spec.kubernetes.schema_selectors import LabelSelector


def _length(value: int) -> int:
    if 1 <= value <= 127:
        return value
    raise ValueError(f"{value} is not the prefix length of a node's part; write one from 1 to 127")


HostSubnet = Annotated[int, AfterValidator(_length)]


class RoutedSubnet(Written):
    """Of a Layer3 network: every node owns a part of `cidr` with prefix length `hostSubnet`."""

    cidr: str
    host_subnet: HostSubnet | None = None


class Layer(Written):
    """What both topologies have. Those without a type here shape what happens inside OVN alone."""

    role: str
    mtu: Any = None
    join_subnets: Any = None


class Layer3(Layer):
    """A part of the network per node, routed."""

    subnets: list[RoutedSubnet] = []


class Layer2(Layer):
    """One broadcast domain over all nodes."""

    subnets: list[str] = []
    ipam: Any = None
    ipam_lifecycle: Any = None
    reserved_subnets: Any = None
    infrastructure_subnets: Any = None
    default_gateway_ips: Any = None


class Network(Written):
    """`layer2` or `layer3`, as `topology` says; `localnet` only ever is a secondary network."""

    topology: str
    layer2: Layer2 | None = None
    layer3: Layer3 | None = None
    localnet: Any = None
    transport: Any = None
    no_overlay: Any = None
    evpn: Any = None


class UserDefinedNetwork(Written):
    """k8s.ovn.org/v1, for its own namespace."""

    api_version: Any = None
    kind: Any = None
    metadata: Metadata
    spec: Network
    status: Any = None


class ClusterNetworkSpec(Written):
    """For all namespaces that the selector matches."""

    namespace_selector: LabelSelector
    network: Network


class ClusterUserDefinedNetwork(Written):
    """k8s.ovn.org/v1, for several namespaces."""

    api_version: Any = None
    kind: Any = None
    metadata: ClusterMetadata
    spec: ClusterNetworkSpec
    status: Any = None
