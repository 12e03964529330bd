"""The commands of ``featurestore train``, a module each."""
