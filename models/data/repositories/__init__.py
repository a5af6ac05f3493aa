"""Source files of real repositories: found without following links, read one at a time, decoded, and what was not."""
