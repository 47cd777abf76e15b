"""What goes in and what comes out, noun by noun; nothing leaves that is not named here."""
