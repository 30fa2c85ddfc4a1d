"""Writes the examination, or examines a checkpoint with it.

    python training/examine.py --write questions.jsonl
    python training/examine.py --checkpoint build/small/checkpoint.pt

Greedy text equals the wanted answer just if each token of the answer is the most likely one after those before it, so
one forward pass over question and answer decides.
"""

import argparse
import collections
import json
import pathlib

import torch

import conversations
import vocabulary
from model import Config, Mixtral
from train import padded

SEED = 20260101
PER_TASK = 250


def load(path):
    saved = torch.load(path, weights_only=False)
    model = Mixtral(Config(**saved["config"]))
    model.load_state_dict(saved["model"])
    return model.eval()


@torch.no_grad()
def examine(model, tokenizer, questions, rows=64):
    """For each question whether the answer is right, and the tokens that each expert of each layer got."""
    chats = []
    for question in questions:
        messages = question["messages"] + [{"role": "assistant", "content": question["answer"]}]
        ids, learn = tokenizer.chat(messages)
        # Only the last answer counts.
        before = len(tokenizer.chat(question["messages"])[0])
        chats.append((ids, [wanted and i >= before for i, wanted in enumerate(learn)]))
    order = sorted(range(len(chats)), key=lambda i: len(chats[i][0]))
    right, used = [False] * len(chats), 0
    for at in range(0, len(order), rows):
        some = order[at:at + rows]
        ids, learn = padded([chats[i] for i in some])
        logits, _, experts = model(ids[:, :-1])
        used = used + experts
        hit = (logits.argmax(-1) == ids[:, 1:]) | ~learn[:, 1:]
        for i, ok in zip(some, hit.all(-1).tolist()):
            right[i] = ok
    return right, used


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=pathlib.Path, help="file for the questions, one JSON object a line")
    parser.add_argument("--checkpoint", type=pathlib.Path)
    options = parser.parse_args()
    questions = conversations.examination(SEED, PER_TASK)
    if options.write:
        lines = (json.dumps(question, ensure_ascii=False) + "\n" for question in questions)
        options.write.write_text("".join(lines), encoding="utf-8")
    if options.checkpoint:
        tokenizer = vocabulary.Tokenizer(vocabulary.build(vocabulary.SIZE)[0])
        right, used = examine(load(options.checkpoint), tokenizer, questions)
        total, good = collections.Counter(), collections.Counter()
        for question, ok in zip(questions, right):
            total[question["task"]] += 1
            good[question["task"]] += ok
        for task in total:
            print(f"{task:10} {good[task]:4} of {total[task]:4}  {good[task] / total[task]:.1%}")
        print(f"all        {sum(right):4} of {len(right):4}  {sum(right) / len(right):.1%}")
        print("least used expert of each layer:", ", ".join(f"{s:.1%}" for s in (used / used.sum(-1, keepdim=True)).amin(-1)))


if __name__ == "__main__":
    main()
