"""The delivery stage: from the queue to the next hop, again when need be, and a word to the sender where one is due."""
