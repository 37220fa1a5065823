"""Results → text for people and JSON for programs. Nothing here prints, or runs a trace."""
