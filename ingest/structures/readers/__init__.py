"""One module a format of structure files; `registry` says which of them a file is."""
