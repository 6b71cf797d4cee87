"""Plain Kubernetes manifests, as published or as `kubectl get -o yaml` prints them."""

from sdn.spec.kubernetes.read import applications, read

__all__ = ["applications", "read"]
