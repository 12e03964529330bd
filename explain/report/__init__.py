"""One page on a model: a module for each section, and one that puts them together."""
