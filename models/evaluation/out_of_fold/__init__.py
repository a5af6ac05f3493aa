"""What is learnt from scores of records that a model never saw: weights of labels, and fusion."""
