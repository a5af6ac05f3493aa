"""Systems over seeds, measured and compared on one test split: the ``compare`` job and its parts."""
