"""Static pictures, drawn as inline SVG that takes its colours from the page: complete without script, and in print."""
