"""A masked language model to train and measure the layers with. Needs the ``sw`` extra."""
