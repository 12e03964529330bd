"""Other people's data over the network: asked politely, read like a stranger's file."""
