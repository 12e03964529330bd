"""Makes the helpers beside this file importable from the rooms below it."""
