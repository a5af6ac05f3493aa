"""Raw files to records to tensors."""
