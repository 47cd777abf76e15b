"""Orders in, decisions out: claims a batch of cases, asks the cascade, writes every effect in one transaction."""
