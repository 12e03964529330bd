"""What a user sets once: a file, the environment, and the options that win over both."""
