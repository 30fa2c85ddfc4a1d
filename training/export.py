"""Writes a checkpoint as a Hugging Face folder, which `talaria convert` makes a GGUF file of.

    python training/export.py build/small/checkpoint.pt build/talaria-small
"""

import argparse
import json
import pathlib

from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2 as sentencepiece

import vocabulary
from examine import load

TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' "
            "+ '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def tensors(model):
    """The weights under the names of MixtralForCausalLM."""
    named = {"model.embed_tokens.weight": model.embedding, "model.norm.weight": model.norm,
             "lm_head.weight": model.output}
    for number, layer in enumerate(model.layers):
        at = f"model.layers.{number}."
        named[at + "input_layernorm.weight"] = layer.attention_norm
        named[at + "post_attention_layernorm.weight"] = layer.experts_norm
        for name in "qkvo":
            named[f"{at}self_attn.{name}_proj.weight"] = getattr(layer, name)
        named[at + "block_sparse_moe.gate.weight"] = layer.router
        for expert in range(model.config.experts):
            for theirs, ours in (("w1", layer.gate), ("w2", layer.down), ("w3", layer.up)):
                named[f"{at}block_sparse_moe.experts.{expert}.{theirs}.weight"] = ours[expert]
    return {name: tensor.detach().clone().contiguous() for name, tensor in named.items()}


def tokenizer_model(pieces):
    """The vocabulary as SentencePiece writes it. Scores fall from piece to piece, so merges go in the order of ids."""
    proto = sentencepiece.ModelProto()
    kinds = sentencepiece.ModelProto.SentencePiece
    for number, piece in enumerate(pieces):
        kind = kinds.NORMAL
        if piece == vocabulary.UNKNOWN:
            kind = kinds.UNKNOWN
        elif piece in (vocabulary.BOS, vocabulary.EOS, vocabulary.START, vocabulary.END):
            kind = kinds.CONTROL
        elif 3 <= number < 259:
            kind = kinds.BYTE
        proto.pieces.add(piece=piece, score=-float(number), type=kind)
    proto.trainer_spec.model_type = sentencepiece.TrainerSpec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.trainer_spec.vocab_size = len(pieces)
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = False
    proto.normalizer_spec.escape_whitespaces = True
    return proto.SerializeToString()


def config(model, pieces):
    c = model.config
    return {
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "torch_dtype": "float32",
        "vocab_size": c.vocabulary, "hidden_size": c.hidden, "intermediate_size": c.ffn, "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads, "num_key_value_heads": c.kv_heads, "head_dim": c.head,
        "num_local_experts": c.experts, "num_experts_per_tok": c.chosen, "max_position_embeddings": c.context,
        "rope_theta": c.rope_base, "rms_norm_eps": c.epsilon, "hidden_act": "silu", "tie_word_embeddings": False,
        "sliding_window": None, "bos_token_id": pieces.index(vocabulary.BOS), "eos_token_id": pieces.index(vocabulary.END),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    model, pieces = load(options.checkpoint), vocabulary.build(vocabulary.SIZE)[0]
    options.folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors(model), options.folder / "model.safetensors", metadata={"format": "pt"})
    (options.folder / "tokenizer.model").write_bytes(tokenizer_model(pieces))
    (options.folder / "config.json").write_text(json.dumps(config(model, pieces), indent=2) + "\n")
    settings = {"bos_token": vocabulary.BOS, "eos_token": vocabulary.END, "unk_token": vocabulary.UNKNOWN,
                "add_bos_token": True, "add_eos_token": False, "chat_template": TEMPLATE}
    (options.folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    main()
