"""CloudEvents 1.0: the envelope, a strict parser for every way of sending one, and the check against the automation of its type."""
