"""Commands run sealed, and a cache of what they made."""
