"""ganbook: the tested code of a course on generative adversarial networks.

data        pictures as one resident tensor            objectives   what each player minimises
mlp         the first generator and discriminator      training     the step (Algorithm 1) and the loop
sampling    drawing pictures from a generator          plots        everything that is looked at
checkpoints weights on disk, safely                    recipes      the table of models; pretrained ones
claims      sentences that are checked                 runs         from a recipe to a folder; records
                                                       book         running and building the chapters
"""

__version__ = "0.1.0"
