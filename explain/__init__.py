"""The explanation room: what in the text and the structure a stored model relies on."""
