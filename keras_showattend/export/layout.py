"""What writers and readers of exported captioners agree on."""

# Raised when older versions of this package could not read the files any more.
FORMAT_VERSION = 1
# The key of a file's own metadata that holds all of ours, as JSON.
KEY = "keras_showattend"
# Outputs of an exported graph, in order.
OUTPUTS = ("token_ids", "log_probabilities", "scores", "word_probabilities", "attention_maps")
