"""A training of a few minutes, and the way of its weights into Talaria; fails if a step of it does.

    python training/smoke.py FOLDER         # everything
    python training/smoke.py FOLDER --steps 3

It checks that the loss falls, that a resumed training is the same as one in a piece, that no question of the examination
is taught, that SentencePiece and Talaria encode as the trainer does, and that Talaria's logits are the trainer's.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys

import numpy
import torch
from sentencepiece import SentencePieceProcessor

import conversations
import examine
import vocabulary
from train import loss_of, padded

ROOT = pathlib.Path(__file__).resolve().parent.parent
HALF_BOUND = 1.5e-6  # median row error of a device in `half` against exact logits


def run(*command):
    subprocess.run([str(part) for part in command], check=True)


def train(folder, *options):
    run(sys.executable, ROOT / "training/train.py", "--out", folder, *options)
    return torch.load(folder / "checkpoint.pt", weights_only=False)


def check(ok, what):
    print(("ok      " if ok else "FAILED  ") + what, flush=True)
    if not ok:
        sys.exit(1)


def check_questions():
    """No turn that is taught is asked in the examination."""
    asked = {question["messages"][-1]["content"] for question in conversations.examination(examine.SEED, examine.PER_TASK)
             if len(question["messages"]) == 1 and question["task"] != "manner"}
    rng = random.Random(7)
    taught = {message["content"] for _ in range(20000) for message in conversations.conversation(rng, 3)}
    check(len(asked) > 1000 and not asked & taught, f"none of {len(asked)} questions is among {len(taught)} messages taught")


def check_training(folder, steps):
    options = ["--tokens", 2000, "--parts", 2, "--cool", steps]
    whole = train(folder / "whole", "--steps", steps, *options)
    model = examine.load(folder / "whole/checkpoint.pt")
    questions = conversations.examination(3, 20)
    tokenizer = vocabulary.Tokenizer(vocabulary.build(vocabulary.SIZE)[0])
    loss = mean_loss(model, tokenizer, questions)
    torch.manual_seed(1)
    fresh = mean_loss(type(model)(model.config), tokenizer, questions)
    check(loss < 0.75 * fresh, f"the loss on held-out answers falls: {fresh:.2f} to {loss:.2f} in {steps} steps")
    train(folder / "parts", "--steps", steps, "--stop", steps // 2, *options)
    parts = train(folder / "parts", "--steps", steps, "--resume", *options)
    same = all(torch.equal(tensor, parts["model"][name]) for name, tensor in whole["model"].items())
    check(same, "an interrupted training comes to the same weights")


def mean_loss(model, tokenizer, questions):
    chats = [tokenizer.chat(q["messages"] + [{"role": "assistant", "content": q["answer"]}]) for q in questions]
    with torch.no_grad():
        loss, _, _, _, count = loss_of(model, *padded(chats))
    return loss.item() / count


def check_encoding(folder, gguf):
    """Ids of the same texts by the trainer, by SentencePiece and by Talaria."""
    tokenizer = vocabulary.Tokenizer(vocabulary.build(vocabulary.SIZE)[0])
    judge = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    rng = random.Random(11)
    texts = [message["content"] for _ in range(500) for message in conversations.conversation(rng, 3)]
    texts += ["", " ", "  two  spaces ", "Grüße, Zoë!", "日本 😀", "A1b2 \n\n x\ty", '"Lemon" LEMON leMon']
    wrong = [text for text in texts if text and judge.encode(text) != tokenizer.encode(text)]
    check(not wrong, f"SentencePiece encodes {len(texts)} texts as the trainer does {wrong[:1]}")
    for text in texts[-7:]:
        out = subprocess.run([ROOT / "talaria", "tokenize", gguf, text, "--no-bos", "--json"], check=True,
                             capture_output=True, text=True).stdout
        check(not text or json.loads(out)["tokens"] == tokenizer.encode(text), f"Talaria encodes {text!r} alike")


def check_logits(folder, gguf, model):
    """Talaria's logits of the converted file, step by step and at once, against the trainer's in float64."""
    tokenizer = vocabulary.Tokenizer(vocabulary.build(vocabulary.SIZE)[0])
    ids, _ = tokenizer.chat(conversations.conversation(random.Random(5), 6))
    with torch.no_grad():
        exact = model.double()(torch.tensor([ids]))[0][0].numpy()
    for chunk in (1, 512):
        out = folder / "logits.f32"
        run(ROOT / "talaria", "logits", gguf, "--tokens", ",".join(map(str, ids)), "--device", "cpu", "--activations",
            "half", "--chunk", chunk, "--out", out)
        computed = numpy.fromfile(out, "<f4").reshape(exact.shape)
        errors = ((computed - exact) ** 2).sum(-1) / (exact**2).sum(-1)
        check(numpy.median(errors) <= HALF_BOUND,
              f"logits of {len(ids)} tokens, chunk {chunk}: median row error {numpy.median(errors):.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(2)
    check_questions()
    check_training(options.folder, options.steps)
    hf, gguf = options.folder / "hf", options.folder / "smoke-F32.gguf"
    run(sys.executable, ROOT / "training/export.py", options.folder / "whole/checkpoint.pt", hf)
    run(ROOT / "talaria", "convert", hf, gguf, "--type", "F32")
    check_encoding(hf, gguf)
    check_logits(options.folder, gguf, examine.load(options.folder / "whole/checkpoint.pt"))


if __name__ == "__main__":
    main()
