"""Every attention and every feed-forward network of a model has a line, known or not."""

import pytest
import torch
import transformers as T

import sw
from sw.nn.hosts.unknown import unknown_parts

SIZE = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
TEXT = dict(vocab_size=64, **SIZE)
IMAGE = dict(image_size=16, patch_size=8, **SIZE)
ZOO = {
    "bert": lambda: T.BertModel(T.BertConfig(**TEXT)),
    "roberta": lambda: T.RobertaModel(T.RobertaConfig(**TEXT)),
    "albert": lambda: T.AlbertModel(T.AlbertConfig(embedding_size=16, **TEXT)),
    "distilbert": lambda: T.DistilBertModel(T.DistilBertConfig(
        vocab_size=64, dim=32, n_layers=2, n_heads=4, hidden_dim=64)),
    "electra": lambda: T.ElectraModel(T.ElectraConfig(embedding_size=16, **TEXT)),
    "vit": lambda: T.ViTModel(T.ViTConfig(**IMAGE)),
    "siglip": lambda: T.SiglipVisionModel(T.SiglipVisionConfig(**IMAGE)),
    "clip": lambda: T.CLIPVisionModel(T.CLIPVisionConfig(**IMAGE)),
    "gpt2": lambda: T.GPT2Model(T.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64)),
    "opt": lambda: T.OPTModel(T.OPTConfig(hidden_size=32, num_hidden_layers=2, ffn_dim=64,
                                          num_attention_heads=4, vocab_size=64,
                                          word_embed_proj_dim=32)),
    "llama": lambda: T.LlamaModel(T.LlamaConfig(num_key_value_heads=4, **TEXT)),
    "t5": lambda: T.T5Model(T.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                                       vocab_size=64)),
    "whisper": lambda: T.WhisperModel(T.WhisperConfig(
        d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, vocab_size=64,
        num_mel_bins=8, max_source_positions=16, max_target_positions=16, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1)),
    "wav2vec2": lambda: T.Wav2Vec2Model(T.Wav2Vec2Config(
        conv_dim=(16,), conv_stride=(5,), conv_kernel=(10,), num_feat_extract_layers=1,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, **TEXT)),
}


def attention_classes(model):
    """Innermost modules with "attention" in their class that have linears, by name: found in
    another way than the report's."""
    found = {}
    for name, module in model.named_modules():
        kind = type(module).__name__.lower()
        own = sum(1 for _, child in module.named_children()
                  if isinstance(child, torch.nn.Linear) or type(child).__name__ == "Conv1D")
        if "attention" in kind and (own >= 2 or isinstance(module, torch.nn.MultiheadAttention)):
            found[name] = module
    return found


@pytest.mark.reliability
@pytest.mark.parametrize("name", ZOO)
def test_nothing_goes_unnamed(name, tried):
    model = ZOO[name]()
    wanted = attention_classes(model)
    assert wanted, "the count of the test is empty"
    try:
        report = sw.attach(model, "cta")
        named = [row.name for row in report.rows]
        assert str(len(report.rows)) in str(report).splitlines()[0]
        sw.detach(model)
    except ValueError as error:
        assert "has no layer that can be replaced" in str(error)
        assert "\n" not in str(error) and "Left as it is: " in str(error)
        named = [one.name for one in unknown_parts(model, [])]
    for path in wanted:
        # A part is named where it, or what holds it as one, stands.
        assert any(path == row or path.startswith(f"{row}.") or row.startswith(f"{path}.")
                   for row in named), f"{path} has no line: {named}"
    feed_forward = [one for one in unknown_parts(model, []) if one.part == "ffn"]
    assert feed_forward or name in ("bert", "roberta", "electra", "albert")
    tried("attach", models=1, attentions=len(wanted))


def test_an_encoder_is_not_taken_for_its_decoder():
    """Whisper's encoder has no causal mask, and is not refused for one."""
    why = {one.name: one.why for one in unknown_parts(ZOO["whisper"](), []) if one.part == "attention"}
    assert why["encoder.layers.0.self_attn"] == "no adapter knows WhisperAttention"
    assert "is causal" in why["decoder.layers.0.self_attn"]


def test_a_feed_forward_network_does_not_care_for_masks():
    model = T.BertModel(T.BertConfig(is_decoder=True, **TEXT))
    report = sw.attach(model, attention=None, ffn="lookup", ffn_options={"h": 4, "tau": 3})
    assert len(report.replaced) == 2
    with pytest.raises(ValueError) as error:
        sw.attach(ZOO["gpt2"](), attention=None, ffn="lookup")
    assert "causal" not in str(error.value) and "GPT2MLP" in str(error.value)
