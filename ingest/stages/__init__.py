"""The stages of ingestion; each writes what is missing and can be run again at any time."""
