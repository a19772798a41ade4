"""Language model of a subtypes study: texts, masked and contrastive training, vectors."""
