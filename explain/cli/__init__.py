"""The commands of ``featurestore explain``, a module each."""
