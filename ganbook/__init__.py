"""ganbook: the tested code of a course on generative adversarial networks.

data        pictures as one resident tensor            objectives   what each player minimises
toys        points with a known density                penalties    what keeps a player in check
mlp         the first generators and discriminators    training     the step (Algorithm 1) and the loop
sampling    drawing from a generator                   divergences  KL, JSD, Wasserstein, V by quadrature
metrics     how good samples are                       plots        everything that is looked at
checkpoints weights on disk, safely                    widgets      what a reader moves
claims      sentences that are checked                 recipes      the table of models; pretrained ones
runs        from a recipe to a folder; records         studies      objectives compared over seeds
book        running and building the chapters
"""

__version__ = "0.1.0"
