"""What the commands of ``featurestore ingest`` do, as functions for programs and notebooks.

Each writes what is missing and nothing else, records its run, shows its progress, and returns what
came of it. The commands parse their options, call one of these, and print.
"""
