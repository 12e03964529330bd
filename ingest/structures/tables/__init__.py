"""Tables with a structure in each row: Matbench and matminer data sets, Hugging Face folders."""
