"""Plain Kubernetes manifests, as published or as `kubectl get -o yaml` prints them."""

from sdn.spec.kubernetes.read import applications, priorities, read

__all__ = ["applications", "priorities", "read"]
