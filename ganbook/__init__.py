"""ganbook: the tested code of a course on generative adversarial networks.

data        pictures as one resident tensor            objectives   what each player minimises
toys        points with a known density                penalties    what keeps a player in check
avatars     drawn faces with known labels              training     the step (Algorithm 1) and the loop
folders     any folder of pictures                     sampling     drawing from a generator
datasets    all of these by name                       metrics      how good samples are
mlp         the first generators and discriminators    divergences  KL, JSD, Wasserstein, V by quadrature
dcgan       convolutional ones, 28, 64, 96 pixels      convolution  sizes, overlap, receptive fields
recipes     the table of models; pretrained ones       plots        everything that is looked at
runs        from a plan to a folder, and on again      drawings     convolutions, drawn
recording   full runs over several seeds               widgets      what a reader moves
records     what was recorded, as pages show it        studies      objectives compared over seeds
checkpoints weights and runs on disk, safely           guidelines   the DCGAN's, each taken back
claims      sentences that are checked                 runner       running the chapters
soak        many seeds, another arithmetic             book         their outputs, and the site
conditional networks that know labels, by wrapping     classifiers  judges: does a fake show its label?
tags        a folder whose tags.csv names colours      conditioning ways of telling the label, compared
evaluation  a trained generator, measured              published    the tutorials' own models
table       all of them, measured alike                machine     device, precision, surroundings
latent      walks, directions, inversion of z          export      a generator for a web page
cover       the picture on the cover                   pages       what the book says about itself
theme       what the site's theme gets wrong           volumes     the book as PDF and EPUB
diseases    mistakes, each with what it does           health      what training never comes back from
team        several processes, one model               cyclegan     one kind of picture into another
translation a CycleGAN's run, and its use              exercises   answers, checked
worksheets  chapters without their solutions           modern      spectral norm, no norm at all
small_data  few pictures, many steps                   augmentation pictures moved and cut, for D
stacked     a thousand modes, counted                  diffusion   the other kind, on a GAN's budget
twins       a translation, held to the truth
"""

__version__ = "0.1.0"
