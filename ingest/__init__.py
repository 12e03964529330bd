"""The writing room: turns structures into sentences and vectors and puts them into the store."""
