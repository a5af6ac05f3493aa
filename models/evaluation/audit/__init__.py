"""What a careful reader checks of a data set before training on it: one check a module, and the job."""
