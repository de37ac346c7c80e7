"""The staff's pages of this app."""
