"""What people write as a Model, with file and line in every error: lab files of ours and Kubernetes manifests."""
