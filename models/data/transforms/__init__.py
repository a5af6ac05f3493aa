"""Changes of a function's text that leave its meaning: one transform a module, each checked and undone in `checked`."""
