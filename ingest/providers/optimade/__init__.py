"""OPTIMADE, the common interface of materials databases: which there are, and what they answer.

The `optimade` package knows the providers and the grammar of filters. Its client is not used: it
asks a server that says "too many requests" again after a second and without end, holds the whole
answer in memory whatever its size, follows a link to any server, and cannot go on where it stopped.
"""
