"""System checks of this installation's own settings."""
