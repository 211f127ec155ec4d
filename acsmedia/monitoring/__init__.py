"""Liveness, readiness and metrics, and the protection of requests from a lost database."""
