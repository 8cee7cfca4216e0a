"""What scorers and embedders share: devices, options, language models, batches, endpoints."""
