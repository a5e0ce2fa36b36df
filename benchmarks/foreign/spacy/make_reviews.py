"""Makes 300 small texts of two kinds, some of them with the wrong label: the data of this trial."""
import random

import spacy
from spacy.tokens import DocBin

GOOD, BAD = "fine lovely quick bright warm neat".split(), "dull broken slow cold rude stale".split()
PLAIN = "the soup a room our guide his song this film and or but very quite not rather today again".split()
rng, nlp = random.Random(0), spacy.blank("en")
for name, count in (("train", 200), ("dev", 100)):
    docs = DocBin()
    for _ in range(count):
        good = rng.random() < 0.5
        words = [rng.choice(PLAIN) for _ in range(9)] + [rng.choice(GOOD if good else BAD)] + [rng.choice(GOOD + BAD)]
        rng.shuffle(words)
        doc = nlp(" ".join(words))
        wrong = rng.random() < 0.1
        doc.cats = {"good": float(good != wrong), "bad": float(good == wrong)}
        docs.add(doc)
    docs.to_disk(f"{name}.spacy")
