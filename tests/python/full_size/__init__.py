"""Every model at its published size: a checkpoint with random weights in the published format, and the reference's
computation in PyTorch. One file a family; weights have the published tensor names because the networks have them.

Written from the descriptions of the models, for measuring. What shows that a network here is the model is that its
embeddings are those of celldag, whose models are tested against the authors' own code.
"""
