"""The only code that writes the inbox: what came in, stored once, counted always."""
