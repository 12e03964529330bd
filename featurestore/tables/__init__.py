"""What is stored: schemas, validated atomic writes, and the record of runs."""
