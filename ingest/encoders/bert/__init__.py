"""Encoders of the BERT family: a text's vector is the mean of a transformer's token vectors."""
