"""The store over time: snapshots, what changed, versions side by side, where numbers come from."""
