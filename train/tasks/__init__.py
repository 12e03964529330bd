"""What a property asks of models: numbers or classes. All that differs between the two is here."""
