"""A Mixtral as Hugging Face's MixtralForCausalLM defines it, written for training on a CPU."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional as F


@dataclasses.dataclass
class Config:
    vocabulary: int
    hidden: int = 256
    ffn: int = 256
    layers: int = 3
    heads: int = 4
    kv_heads: int = 2
    experts: int = 8
    chosen: int = 2
    context: int = 2048
    rope_base: float = 1e6
    epsilon: float = 1e-5

    @property
    def head(self):
        return self.hidden // self.heads


def weight(*shape, scale=1.0):
    """Normal, with the variance that keeps a product's size: shape is [..., out, in]."""
    return nn.Parameter(torch.randn(*shape) * scale * shape[-1] ** -0.5)


def rms_norm(x, gain, epsilon):
    return F.rms_norm(x, (x.shape[-1],), gain, epsilon)


def rotate(x, cos, sin):
    """RoPE on the two halves of each head: x [rows, heads, length, head], cos and sin [length, head / 2]."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = c = config
        small = (2 * c.layers) ** -0.5  # what is added to the residual stream begins small
        self.attention_norm = nn.Parameter(torch.ones(c.hidden))
        self.q = weight(c.heads * c.head, c.hidden)
        self.k = weight(c.kv_heads * c.head, c.hidden)
        self.v = weight(c.kv_heads * c.head, c.hidden)
        self.o = weight(c.hidden, c.heads * c.head, scale=small)
        self.experts_norm = nn.Parameter(torch.ones(c.hidden))
        self.router = weight(c.experts, c.hidden, scale=0.1)
        self.gate = weight(c.experts, c.ffn, c.hidden)
        self.up = weight(c.experts, c.ffn, c.hidden)
        self.down = weight(c.experts, c.hidden, c.ffn, scale=small)

    def forward(self, x, cos, sin):  # x [rows, length, hidden]
        x = x + self.attend(rms_norm(x, self.attention_norm, self.config.epsilon), cos, sin)
        added, balance, used = self.mix(rms_norm(x, self.experts_norm, self.config.epsilon).flatten(0, 1))
        return x + added.view_as(x), balance, used

    def attend(self, x, cos, sin):
        c = self.config
        rows, length, _ = x.shape
        q, k, v = (F.linear(x, w).view(rows, length, -1, c.head).transpose(1, 2) for w in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = (t.repeat_interleave(c.heads // c.kv_heads, 1) for t in (k, v))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.linear(attended.transpose(1, 2).reshape(rows, length, -1), self.o)

    def mix(self, x):
        """x [tokens, hidden] through the two experts of each token: the sum, the load-balancing loss, tokens per expert."""
        c = self.config
        probabilities = F.linear(x, self.router).softmax(-1)  # [tokens, experts]
        top, expert = probabilities.topk(c.chosen, -1)  # [tokens, chosen]
        share = (top / top.sum(-1, keepdim=True)).flatten()
        order = expert.flatten().argsort(stable=True)  # (token, slot) pairs, by expert
        used = torch.bincount(expert.flatten(), minlength=c.experts)
        out = []
        for e, rows in enumerate(x[order // c.chosen].split(used.tolist())):
            inner = F.silu(F.linear(rows, self.gate[e])) * F.linear(rows, self.up[e])
            out.append(F.linear(inner, self.down[e]))
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        slots = torch.cat(out)[back] * share[:, None]  # [tokens * chosen, hidden], in the order of tokens again
        # Switch Transformer's loss: 1 if all experts are used alike, `experts` if one is used alone.
        balance = c.experts * (used / used.sum() * probabilities.mean(0)).sum()
        return slots.view(-1, c.chosen, c.hidden).sum(1), balance, used


class Mixtral(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = c = config
        self.embedding = nn.Parameter(torch.randn(c.vocabulary, c.hidden))
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = nn.Parameter(torch.ones(c.hidden))
        self.output = weight(c.vocabulary, c.hidden)
        angles = torch.outer(torch.arange(c.context), c.rope_base ** -(torch.arange(0, c.head, 2) / c.head))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids, at=None):
        """ids [rows, length] to logits of the positions `at` (a mask, or None for all), the mean balance loss, and
        tokens per expert [layers, experts]."""
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        x = self.embedding[ids]
        balances, used = [], []
        for layer in self.layers:
            x, balance, tokens = layer(x, cos, sin)
            balances.append(balance)
            used.append(tokens)
        x = x if at is None else x[at]
        logits = F.linear(rms_norm(x, self.norm, self.config.epsilon), self.output)
        return logits, torch.stack(balances).mean(), torch.stack(used)
