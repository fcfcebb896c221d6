"""What people read: one model, several renderers that only lay out."""
