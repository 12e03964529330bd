"""Keeping a store sound: checks and mending, compaction and clean-up, copies, new schemas."""
