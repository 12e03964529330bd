"""The commands of ``featurestore ingest``, a module each."""
