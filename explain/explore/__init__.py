"""A store in a browser: a local, read-only web application and the HTTP interface under it."""
