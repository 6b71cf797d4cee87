"""The words of the project as frozen values: no I/O, no behaviour beyond their own meaning."""

from sdn.model.flow import Answer, Disposition, Flow, Observation, Outcome, Step, Trace, Verdict
from sdn.model.lab import Expectation, Model, Options, Placed, Placement
from sdn.model.overlay import Application, Endpoint, Segment, SegmentKind
from sdn.model.policy import (
    NETWORK_POLICY,
    NO_BACKEND,
    NO_PATH,
    OWN_ADDRESS,
    SPOOFED,
    TIERS,
    UNKNOWN,
    Action,
    Direction,
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    Operator,
    Peer,
    Policy,
    PortRange,
    Requirement,
    Rule,
    Selector,
    default_origin,
    isolation_origin,
    rule_origin,
)
from sdn.model.question import Ask, Question, Report, Result, Timing
from sdn.model.service import Service, ServicePort
from sdn.model.underlay import Effect, Host, Link, Role, Switch, Taint, Underlay
from sdn.model.workload import Kind, Namespace, Port, Protocol, Toleration, Workload

__all__ = [name for name in dir() if not name.startswith("_") and name[0].isupper()] + [
    "default_origin",
    "isolation_origin",
    "rule_origin",
]
