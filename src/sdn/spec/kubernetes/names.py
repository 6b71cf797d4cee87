"""Names of Kubernetes objects as DNS labels, which is what names of Hosts and Applications are."""

from __future__ import annotations

from hashlib import blake2s


def application_name(namespace: str, name: str) -> str:
    """A ClusterUserDefinedNetwork's own name, a UserDefinedNetwork's behind its namespace's."""
    return _label("-".join(filter(None, (namespace, name.replace(".", "-")))), f"{namespace}/{name}")


def host_name(node: str) -> str:
    """A node's name without dots."""
    return _label(node.replace(".", "-"), node)


def _label(plain: str, whole: str) -> str:
    if len(plain) <= 63:
        return plain
    return f"{plain[:54].rstrip('-')}-{blake2s(whole.encode(), digest_size=4).hexdigest()}"
