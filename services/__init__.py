"""One folder per process; a service never imports another service."""
