"""What we read of NSX's objects, in the API's own names; sources are the Policy API's and the fabric API's schemas.

An unknown field shows: as a mistake where it looks misspelt, else in a warning that names it. What the schemas have
and we do not read is listed as unused; it says nothing about who may talk to whom.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Loose(BaseModel):
    """An object of which we read some fields. Null is absent, as NSX means it."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, defer_build=True)

    UNUSED: ClassVar[frozenset[str]] = frozenset()
    """Further fields that say nothing about who may talk to whom."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


COMMON = frozenset(
    [
        "resource_type",
        "children",
        "path",
        "relative_path",
        "remote_path",
        "unique_id",
        "realization_id",
        "owner_id",
        "origin_site_id",
        "tags",
        "description",
        "marked_for_delete",
        "mark_for_override",
        "overridden",
        "parent_path",
        "site_path",
        "origin_site_path",
    ]
)
"""Fields that every policy object may have beside its own; so may anything that begins with an underscore."""


class Tag(Loose):
    """Either may be empty; one object may have several tags of one scope."""

    scope: str = ""
    tag: str = ""


class Named(Loose):
    """`display_name` defaults to the id."""

    id: str = ""
    display_name: str = ""
    tags: list[Tag] = []

    @property
    def name(self) -> str:
        """What people call it."""
        return self.display_name or self.id


# --- policy


class Group(Named):
    """`expression` is read piece by piece, for the pieces differ by their `resource_type`."""

    UNUSED = frozenset({"state", "reference", "group_type"})

    expression: list[dict[str, Any]] = []
    extended_expression: list[dict[str, Any]] = []


class Service(Named):
    """A named list of entries."""

    UNUSED = frozenset({"service_type", "is_default"})

    service_entries: list[dict[str, Any]] = []


class Rule(Named):
    """A rule; lists of paths may hold ANY alone."""

    UNUSED = frozenset({"notes", "tag", "rule_id", "is_default", "user_overridden"})

    action: str = "ALLOW"
    sequence_number: int = 0
    source_groups: list[str] = []
    destination_groups: list[str] = []
    sources_excluded: bool = False
    destinations_excluded: bool = False
    services: list[str] = []
    service_entries: list[dict[str, Any]] = []
    profiles: list[str] = []
    scope: list[str] = []
    direction: str = "IN_OUT"
    ip_protocol: str = "IPV4_IPV6"
    disabled: bool = False
    logged: bool = False


class SecurityPolicy(Named):
    """Its rules are collected as objects of their own."""

    UNUSED = frozenset(
        [
            "comments",
            "locked",
            "lock_modified_by",
            "lock_modified_time",
            "rules",
            "rule_count",
            "default_rule_id",
            "logging_enabled",
        ]
    )

    category: str = ""
    sequence_number: int = 0
    internal_sequence_number: int | None = None
    scope: list[str] = []
    stateful: bool = True
    tcp_strict: bool = True
    is_default: bool = False
    connectivity_preference: str = ""
    connectivity_strategy: str = ""
    scheduler_path: str = ""


class PolicyExcludeList(Named):
    """Paths of groups, segments and ports that the distributed firewall leaves alone."""

    members: list[str] = []


# --- networks


class SegmentSubnet(Loose):
    """`gateway_address` is the gateway with the prefix length, `network` the prefix alone."""

    UNUSED = frozenset({"dhcp_config", "dhcp_ranges"})

    gateway_address: str = ""
    network: str = ""


class Segment(Named):
    """`connectivity_path` is that of its gateway; without one nobody routes for it."""

    UNUSED = frozenset(
        [
            "address_bindings",
            "admin_state",
            "advanced_config",
            "bridge_profiles",
            "dhcp_config_path",
            "domain_name",
            "evpn_segment",
            "evpn_tenant_config_path",
            "extra_configs",
            "federation_config",
            "l2_extension",
            "ls_id",
            "mac_pool_id",
            "metadata_proxy_paths",
            "overlay_id",
            "replication_mode",
            "transport_zone_path",
            "type",
        ]
    )

    connectivity_path: str = ""
    subnets: list[SegmentSubnet] = []
    vlan_ids: list[str] = []


class Attachment(Loose):
    """`id` is the `lport_attachment_id` of the interface that is plugged in."""

    UNUSED = frozenset(
        [
            "allocate_addresses",
            "app_id",
            "bms_interface_config",
            "context_id",
            "context_type",
            "evpn_vlans",
            "hyperbus_mode",
            "traffic_tag",
            "type",
        ]
    )

    id: str = ""


class SegmentPort(Named):
    """A port of a segment."""

    UNUSED = frozenset({"address_bindings", "admin_state", "extra_configs", "ignored_address_bindings", "init_state"})

    attachment: Attachment = Attachment()


class Tier1(Named):
    """A gateway of one application."""

    UNUSED = frozenset(
        [
            "advanced_config",
            "arp_limit",
            "default_rule_logging",
            "dhcp_config_paths",
            "disable_firewall",
            "enable_standby_relocation",
            "failover_mode",
            "federation_config",
            "force_whitelisting",
            "ha_mode",
            "intersite_config",
            "ipv6_profile_paths",
            "pool_allocation",
            "qos_profile",
            "route_advertisement_rules",
            "type",
        ]
    )

    tier0_path: str = ""
    route_advertisement_types: list[str] | None = None


class Tier0(Named):
    """The gateway that T1 gateways hang off."""

    UNUSED = frozenset(
        [
            "advanced_config",
            "arp_limit",
            "bfd_profile_path",
            "default_rule_logging",
            "dhcp_config_paths",
            "disable_firewall",
            "failover_mode",
            "federation_config",
            "force_whitelisting",
            "ha_mode",
            "internal_transit_subnets",
            "intersite_config",
            "ipv6_profile_paths",
            "rd_admin_field",
            "stateful_services",
            "transit_subnets",
            "vrf_config",
            "vrf_transit_subnets",
        ]
    )


# --- the fabric's inventory


class GuestInfo(Loose):
    """What the tools in the guest say."""

    UNUSED = frozenset({"ad_join_version", "guest_type", "os_distribution", "os_version"})

    os_name: str = ""
    computer_name: str = ""


class VirtualMachine(Named):
    """`external_id` is its identity everywhere else."""

    UNUSED = frozenset({"compute_ids", "host_id", "local_id_on_host", "power_state", "source", "type"})

    external_id: str
    guest_info: GuestInfo = GuestInfo()
    computer_name: str = ""
    os_name: str = ""

    @property
    def os(self) -> str:
        """Empty where no tools run."""
        return self.guest_info.os_name or self.os_name

    @property
    def computer(self) -> str:
        """Empty where no tools run."""
        return self.guest_info.computer_name or self.computer_name


class AddressInfo(Loose):
    """Addresses from one source: tools, DHCP snooping, ARP snooping."""

    UNUSED = frozenset({"source"})

    ip_addresses: list[str] = []


class Interface(Loose):
    """A VM's network card."""

    UNUSED = frozenset({"display_name", "host_id", "owner_vm_type", "scope", "vm_local_id_on_host"})

    external_id: str = ""
    owner_vm_id: str
    device_key: str = ""
    device_name: str = ""
    mac_address: str = ""
    lport_attachment_id: str = ""
    ip_address_info: list[AddressInfo] = []


# --- pieces of groups and services


class Condition(Loose):
    """`value` of a Tag is `scope|tag`; an empty half is not looked at."""

    UNUSED = frozenset({"id", "display_name"})

    member_type: str
    key: str
    operator: str = "EQUALS"
    scope_operator: str = "EQUALS"
    value: str


class Conjunction(Loose):
    """AND or OR."""

    UNUSED = frozenset({"id", "display_name"})

    conjunction_operator: str


class Nested(Loose):
    """Conditions joined by AND."""

    UNUSED = frozenset({"id", "display_name"})

    expressions: list[dict[str, Any]]


class Paths(Loose):
    """Groups, segments, ports, VMs."""

    UNUSED = frozenset({"id", "display_name"})

    paths: list[str] = []


class Addresses(Loose):
    """Addresses, ranges, prefixes."""

    UNUSED = frozenset({"id", "display_name"})

    ip_addresses: list[str] = []


class ExternalIds(Loose):
    """VMs or their interfaces by the fabric's ids."""

    UNUSED = frozenset({"id", "display_name"})

    member_type: str = "VirtualMachine"
    external_ids: list[str] = []


class PortSet(Named):
    """Ports are texts: `80`, `8000-8100`."""

    l4_protocol: str
    source_ports: list[str | int] = []
    destination_ports: list[str | int] = []


class Icmp(Named):
    """No type: every message."""

    protocol: str
    icmp_type: int | None = None
    icmp_code: int | None = None


class IpProtocol(Named):
    """IANA's number."""

    protocol_number: int


class Alg(Named):
    """A protocol whose data connections NSX opens itself."""

    alg: str
    source_ports: list[str | int] = []
    destination_ports: list[str | int] = []


class NestedService(Named):
    """Another service's entries."""

    nested_service_path: str


class Other(Named):
    """Traffic that is no TCP, UDP, SCTP or echo."""

    UNUSED = frozenset({"ether_type"})
