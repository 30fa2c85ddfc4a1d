"""Trains the small model. The same seed, steps and number of threads give the same weights.

    python training/train.py --out build/small           # 50 minutes on two cores
    python training/train.py --out build/small --resume  # goes on after an interruption
"""

import argparse
import os
import pathlib
import random
import time

import torch
from torch.nn import functional as F

import conversations
import vocabulary
from model import Config, Mixtral


RATES = (0.02, 3e-3)  # of Muon and of AdamW
WARM = 50  # steps in which the learning rate rises


def orthogonal(update):
    """The nearest matrix of orthogonal rows or columns, nearly: five Newton-Schulz steps, for [..., out, in]."""
    tall = update.shape[-2] > update.shape[-1]
    x = update.mT if tall else update
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal (K. Jordan, 2024): for matrices it learns in about half as many steps as Adam."""

    def __init__(self, parameters, rate, momentum=0.95, decay=0.01):
        super().__init__(parameters, dict(lr=rate, momentum=momentum, decay=decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                momentum = state.setdefault("momentum", torch.zeros_like(p))
                momentum.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(momentum, group["momentum"]))
                scale = max(1, p.shape[-2] / p.shape[-1]) ** 0.5
                p.mul_(1 - group["lr"] * group["decay"]).add_(update, alpha=-group["lr"] * scale)


def batches(tokenizer, rng, tokens, parts):
    """One step's conversations: `parts` batches of like lengths, as (ids, learn) of [rows, length]."""
    chats, total = [], 0
    while total < tokens:
        chats.append(tokenizer.chat(conversations.conversation(rng, rng.choice([1, 1, 2, 2, 3, 4, 6, 10]))))
        total += len(chats[-1][0])
    chats.sort(key=lambda chat: len(chat[0]))
    share, part, seen = total / parts, [], 0
    for chat in chats:
        part.append(chat)
        seen += len(chat[0])
        if seen >= share or chat is chats[-1]:
            yield padded(part)
            part, seen = [], 0


def padded(chats):
    """Rows end in padding that nothing is learnt from; attention looks back only, so it changes nothing."""
    length = max(len(ids) for ids, _ in chats)
    ids = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in chats])
    learn = torch.tensor([learn + [False] * (length - len(learn)) for _, learn in chats])
    return ids, learn


def loss_of(model, ids, learn):
    """The summed cross-entropy of what is to be learnt, the balance loss, tokens per expert, hits and their number."""
    wanted = learn[:, 1:]
    logits, balance, used = model(ids[:, :-1], wanted)
    targets = ids[:, 1:][wanted]
    hits = (logits.detach().argmax(-1) == targets).sum().item()
    return F.cross_entropy(logits, targets, reduction="sum"), balance, used, hits, len(targets)


def rate(step, steps, cool):
    """The share of the full learning rate: up in WARM steps, down to nothing in the last `cool` of `steps`."""
    return min(1.0, (step + 1) / WARM, (steps - step) / cool)


def optimizers(model):
    matrices = [p for n, p in model.named_parameters() if p.ndim >= 2 and n.startswith("layers") and "router" not in n]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [Muon(matrices, RATES[0]), torch.optim.AdamW(others, RATES[1], betas=(0.9, 0.98), weight_decay=0.0)]


def save(path, model, optims, step, options):
    part = path.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimizers": [o.state_dict() for o in optims], "step": step,
                "config": vars(model.config), "options": vars(options)}, part)
    os.replace(part, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--cool", type=int, default=700, help="those at the end of them in which the learning rate falls")
    parser.add_argument("--tokens", type=int, default=8000, help="tokens of a step")
    parser.add_argument("--parts", type=int, default=8, help="batches that a step is computed in")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--balance", type=float, default=0.02, help="weight of the load-balancing loss")
    parser.add_argument("--stop", type=int, help="ends before this step, as an interruption would")
    parser.add_argument("--resume", action="store_true", help="goes on from the checkpoint in the folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = options.out / "checkpoint.pt"

    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)  # or threads add gradients of rows that are used twice in any order
    tokenizer = vocabulary.Tokenizer(vocabulary.build(vocabulary.SIZE)[0])
    model = Mixtral(Config(len(tokenizer.pieces)))
    optims = optimizers(model)
    first = 0
    if options.resume:
        saved = torch.load(checkpoint, weights_only=False)
        model.load_state_dict(saved["model"])
        for optim, state in zip(optims, saved["optimizers"]):
            optim.load_state_dict(state)
        first = saved["step"]
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer.pieces)} pieces")

    begin, seen = time.monotonic(), 0
    last = options.stop or options.steps
    for step in range(first, last):
        for optim, lr in zip(optims, RATES):
            optim.param_groups[0]["lr"] = lr * rate(step, options.steps, options.cool)
        rng = random.Random(f"{options.seed} {step}")
        loss_sum = hits = learnt = 0
        used = 0
        for ids, learn in batches(tokenizer, rng, options.tokens, options.parts):
            loss, balance, experts, right, count = loss_of(model, ids, learn)
            # Answers weigh alike whatever batch they are in: about 0.4 of the tokens are learnt.
            (loss / (0.4 * options.tokens) + options.balance * balance / options.parts).backward()
            loss_sum, hits, learnt = loss_sum + loss.item(), hits + right, learnt + count
            used, seen = used + experts, seen + ids.numel()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optim in optims:
            optim.step()
            optim.zero_grad(set_to_none=True)
        if step % 20 == 0:
            least = (used / used.sum(-1, keepdim=True)).min().item()
            print(f"step {step}: loss {loss_sum / learnt:.4f}, right {hits / learnt:.3%}, least used expert "
                  f"{least:.1%}, {seen / (time.monotonic() - begin):.0f} tokens/s", flush=True)
        if (step + 1) % 100 == 0 or step + 1 == last:
            save(checkpoint, model, optims, step + 1, options)


if __name__ == "__main__":
    main()
