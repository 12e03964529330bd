"""SQL from outside: statements, parameters and conditions as users write them, and results."""
