"""Kafka to the inbox."""
