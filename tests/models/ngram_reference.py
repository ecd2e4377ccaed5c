"""A slow n-gram model over dictionaries, written from the papers: what the fast one must equal."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

BOS, EOS = 1, 2
Gram = tuple[int, ...]


class SlowModel:
    """Sentences are lists of numbers of 3 and more, or 0; ``n_words`` with <unk>, <s> and </s>."""

    def __init__(self, sentences: Sequence[Sequence[int]], n_words: int, order: int) -> None:
        self.order, self.n_words = order, n_words
        self.predicted = [w for w in range(n_words) if w != BOS]
        self.counts: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
        for sentence in sentences:
            tokens = [BOS, *sentence, EOS]
            for n in range(1, order + 1):
                for at in range(len(tokens) - n + 1):
                    gram = tuple(tokens[at : at + n])
                    if gram != (BOS,):
                        self.counts[n][gram] += 1

    def used(self, n: int) -> Counter[Gram]:
        """The counts that order ``n`` is estimated from."""
        return self.counts[n]

    def followers(self, context: Gram) -> dict[int, int]:
        """How often each word follows."""
        n = len(context) + 1
        return {g[-1]: c for g, c in self.used(n).items() if g[:-1] == context and c}

    def probability(self, word: int, context: Gram) -> float:
        """P(word | context), of a context of the words since <s>, however many."""
        context = context[max(0, len(context) - self.order + 1) :]
        return self.estimate(word, context)

    def estimate(self, word: int, context: Gram) -> float:
        """By the method."""
        raise NotImplementedError

    def lower(self, word: int, context: Gram) -> float:
        """The order below."""
        if not context:
            return 1 / len(self.predicted)
        return self.estimate(word, context[1:])


class SlowLikelihood(SlowModel):
    def estimate(self, word: int, context: Gram) -> float:
        after = self.followers(context)
        return after.get(word, 0) / sum(after.values()) if after else 0.0


class SlowLaplace(SlowModel):
    def estimate(self, word: int, context: Gram) -> float:
        after = self.followers(context)
        return (after.get(word, 0) + 1) / (sum(after.values()) + len(self.predicted))


class SlowKneserNey(SlowModel):
    def used(self, n: int) -> Counter[Gram]:
        if n == self.order:
            return self.counts[n]
        found: Counter[Gram] = Counter()
        before: defaultdict[Gram, set[int]] = defaultdict(set)
        for gram in self.counts[n + 1]:
            before[gram[1:]].add(gram[0])
        for gram, count in self.counts[n].items():
            found[gram] = count if gram[0] == BOS else len(before[gram])
        return found

    def discounts(self, n: int) -> list[float]:
        """D0 to D3+."""
        often = Counter(self.used(n).values())
        fallback = [0.0, 0.5, 1.0, 1.5]
        if not all(often[k] for k in (1, 2, 3, 4)):
            return fallback
        y = often[1] / (often[1] + 2 * often[2])
        found = [0.0] + [k - (k + 1) * y * often[k + 1] / often[k] for k in (1, 2, 3)]
        return found if all(0 <= d <= k for k, d in enumerate(found)) else fallback

    def estimate(self, word: int, context: Gram) -> float:
        after, taken = self.followers(context), self.discounts(len(context) + 1)
        if not after:
            return self.lower(word, context)
        total = sum(after.values())
        left = sum(taken[min(c, 3)] for c in after.values()) / total
        count = after.get(word, 0)
        return (count - taken[min(count, 3)]) / total + left * self.lower(word, context)


class SlowKatz(SlowModel):
    """``factors``: by order what counts of 1, 2, … are multiplied by."""

    factors: dict[int, tuple[float, ...]]

    def estimate(self, word: int, context: Gram) -> float:
        after, own = self.followers(context), self.factors[len(context) + 1]
        if not after:
            return self.lower(word, context)
        total = sum(after.values())
        kept = {w: c * (own[c - 1] if c <= len(own) else 1) / total for w, c in after.items()}
        if 1 - sum(kept.values()) < 1e-9:
            kept = {w: p * total / (total + 1) for w, p in kept.items()}
        room = 1 - math.fsum(self.lower(w, context) for w in after)
        if room < 1e-9:
            kept = {w: p / sum(kept.values()) for w, p in kept.items()}
            return kept.get(word, 0.0)
        if word in kept:
            return kept[word]
        return (1 - sum(kept.values())) / room * self.lower(word, context)


class SlowInterpolated(SlowModel):
    """``weights``: by order and by binary digits of the context's count."""

    weights: list[list[float]]

    def estimate(self, word: int, context: Gram) -> float:
        after = self.followers(context)
        if not after:
            return self.lower(word, context)
        total = sum(after.values())
        weight = self.weights[len(context)][total.bit_length()]
        return weight * after.get(word, 0) / total + (1 - weight) * self.lower(word, context)
