"""Disposable machines: image, template, clone, fork, and the providers that make them."""
