"""Texts as SQL over sentences: the grammar of variants and what a text stands for."""
