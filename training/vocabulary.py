"""The small model's vocabulary: SentencePiece-style pieces with byte fallback.

Every piece of several letters begins with a space or with a capital letter that small ones follow. So digits are always
single pieces, and so are the letters of a word in quotes, small or capital: the model sees what it is to count or turn.
"""

import collections
import random
import re

import conversations

SPACE = "\u2581"
UNKNOWN, BOS, EOS = "<unk>", "<s>", "</s>"
START, END = "<|im_start|>", "<|im_end|>"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHARACTERS = SPACE + LETTERS + "0123456789" + "".join(chr(c) for c in range(33, 127) if not chr(c).isalnum()) + "äöüßéè"
WORD = re.compile(f"{SPACE}[A-Za-z][a-z]+|(?<!{SPACE})[A-Z][a-z]+")


SIZE = 1536


def chunks(text):
    """The words of a message that may be one piece, as they stand in it."""
    return WORD.findall(text.replace(" ", SPACE))


def build(size, seed=1, sample=30000):
    """Pieces in the order of their ids, with scores: words that are used most, with all their beginnings."""
    rng = random.Random(seed)
    count = collections.Counter()
    for _ in range(sample):
        for message in conversations.conversation(rng, 3):
            count.update(chunks(message["content"]))
    for role in ("user", "assistant", "system"):
        count[SPACE + role] += sample
    fixed = [UNKNOWN, BOS, EOS] + [f"<0x{byte:02X}>" for byte in range(256)] + list(CHARACTERS) + [END, START]
    chains = set()
    for word, _ in sorted(count.items(), key=lambda item: (-item[1], item[0])):
        beginnings = {word[:length] for length in range(2, len(word) + 1)}
        if len(fixed) + len(chains | beginnings) > size:
            break
        chains |= beginnings
    # Merges are by score: with a space first, so that a beginning grows from left to right and reaches the whole word.
    merges = sorted(chains, key=lambda piece: (piece[0] != SPACE, len(piece), piece))
    specials = fixed[-2:]
    return fixed[:-2] + merges + specials, len(merges)


class Tokenizer:
    """Encodes as Talaria and llama.cpp do: characters, merged by score, bytes where a character is no piece."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.ids = {piece: i for i, piece in enumerate(pieces)}
        self.start, self.end, self.bos = self.ids[START], self.ids[END], self.ids[BOS]
        self.known = {}

    def encode(self, text):
        """The ids of a stretch of text after a special token: a space comes before it."""
        out = []
        for part in re.findall(f"{SPACE}?[A-Za-z]+|.", SPACE + text.replace(" ", SPACE), re.DOTALL):
            if part not in self.known:
                self.known[part] = self._merge(part)
            out += self.known[part]
        return out

    def _merge(self, text):
        symbols = list(text)
        while True:
            best = None
            for i in range(len(symbols) - 1):
                merged = self.ids.get(symbols[i] + symbols[i + 1])
                if merged is not None and (best is None or merged < best[0]):
                    best = merged, i
            if best is None:
                break
            symbols[best[1]:best[1] + 2] = [symbols[best[1]] + symbols[best[1] + 1]]
        out = []
        for symbol in symbols:
            if symbol in self.ids:
                out.append(self.ids[symbol])
            else:
                out += [self.ids[f"<0x{byte:02X}>"] for byte in symbol.encode()]
        return out

    def chat(self, messages):
        """ChatML ids of a conversation, and for each whether it is to be learnt: answers and their ends are."""
        ids, learn = [self.bos], [False]
        for message in messages:
            role = self.encode(message["role"] + "\n")
            content = self.encode(message["role"] + "\n" + message["content"])
            answer = message["role"] == "assistant"
            after = self.encode("\n")
            ids += [self.start, *content, self.end, *after]
            learn += [False] * (1 + len(role)) + [answer] * (len(content) - len(role) + 1) + [False] * len(after)
        return ids, learn
