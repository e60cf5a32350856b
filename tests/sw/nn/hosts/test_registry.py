"""Every family of Hugging Face encoders with its attention and feed-forward networks replaced."""

import copy

import pytest
import torch
import transformers

import sw
from sw.nn.attachment import attention_layers, ffn_layers
from sw.nn.hosts.registry import FAMILIES as KNOWN

SHAPE = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
         "intermediate_size": 48, "max_position_embeddings": 40}
FAMILIES = {
    "bert": (transformers.BertModel, transformers.BertConfig, {}),
    "roberta": (transformers.RobertaModel, transformers.RobertaConfig, {}),
    "xlm-r": (transformers.XLMRobertaModel, transformers.XLMRobertaConfig, {}),
    "camembert": (transformers.CamembertModel, transformers.CamembertConfig, {}),
    "electra": (transformers.ElectraModel, transformers.ElectraConfig, {"embedding_size": 16}),
    "distilbert": (transformers.DistilBertModel, transformers.DistilBertConfig,
                   {"hidden_dim": 48}),
    "albert": (transformers.AlbertModel, transformers.AlbertConfig,
               {"embedding_size": 16, "num_hidden_groups": 2, "inner_group_num": 2}),
}


def encoder(model):
    """The stack of layers."""
    return model.transformer if hasattr(model, "transformer") else model.encoder


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def small(family, implementation="sdpa", dtype=torch.float64, **options):
    model, config, more = FAMILIES[family]
    torch.manual_seed(3)
    made = model(config(**SHAPE | more | options, pad_token_id=1, bos_token_id=0, eos_token_id=2,
                        attn_implementation=implementation)).to(dtype).eval()
    with torch.no_grad():               # the 0.02 of the configuration makes attention uniform
        for parameter in encoder(made).parameters():
            if parameter.dim() == 2:
                parameter.mul_(6)
    return made


def text(lengths=(11, 7, 1)):
    generator = torch.Generator().manual_seed(5)
    ids = torch.ones(len(lengths), max(lengths), dtype=torch.long)
    for row, length in zip(ids, lengths, strict=True):
        row[:length] = torch.randint(3, 60, (length,), generator=generator)
    return ids, (ids != 1).long()


def run(model, ids, mask, **options):
    with torch.no_grad():
        return model(ids, attention_mask=mask, **options).last_hidden_state


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_exact_is_equal(family, implementation):
    model = small(family, implementation)
    ids, mask = text()
    before = run(model, ids, mask)
    report = sw.attach(model, "exact")
    assert len(report.replaced) == len(attention_layers(model))
    real = mask.bool()
    torch.testing.assert_close(run(model, ids, mask)[real], before[real], rtol=0, atol=1e-10)
    torch.testing.assert_close(run(model, ids[:1], None), before[:1], rtol=0, atol=1e-10)


def test_exact_is_equal_in_single_precision(family):
    model = small(family, dtype=torch.float32)
    ids, mask = text()
    before = run(model, ids, mask)
    sw.attach(model, "exact")
    assert next(iter(attention_layers(model).values())).a.dtype == torch.float32
    torch.testing.assert_close(run(model, ids, mask)[mask.bool()], before[mask.bool()],
                               rtol=0, atol=1e-5)


def test_a_cluster_for_every_token_is_exact_attention(family):
    model = small(family)
    ids, mask = text()
    before = run(model, ids, mask)
    sw.attach(model, "cta")
    for heads in attention_layers(model).values():
        heads.w.fill_(0.05)
        heads.a.data.mul_(0.2)          # the hash format holds 256 values
    after = run(model, ids, mask)
    for heads in attention_layers(model).values():
        assert heads.counts[:, 0].tolist() == [11, 7, 1]
    torch.testing.assert_close(after[mask.bool()], before[mask.bool()], rtol=0, atol=1e-9)


def test_wide_buckets_are_another_model(family):
    model = small(family)
    ids, mask = text()
    before = run(model, ids, mask)
    sw.attach(model, "cta")
    for heads in attention_layers(model).values():
        heads.w.fill_(1e4)
        heads.offset.fill_(0.5)
    after = run(model, ids, mask)
    for heads in attention_layers(model).values():
        assert heads.counts.tolist() == [[1, 1, 1]] * 3
    assert (after - before)[mask.bool()].abs().max() > 1e-2


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_padding_changes_nothing(family, implementation):
    model = small(family, implementation)
    sw.attach(model, "cta", "vanilla")
    ids, mask = text()
    together = run(model, ids, mask)
    for row, length in enumerate((11, 7, 1)):
        alone = run(model, ids[row:row + 1, :length], None)
        torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=1e-10)


def test_detach_restores(family):
    model = small(family)
    ids, mask = text()
    before, state = run(model, ids, mask), copy.deepcopy(model.state_dict())
    order = [name for name, _ in model.named_parameters()]
    sw.attach(model, "cta", "lookup", ffn_options={"h": 4, "tau": 3})
    assert not torch.equal(run(model, ids, mask), before)
    sw.detach(model)
    assert [name for name, _ in model.named_parameters()] == order
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(run(model, ids, mask), before)


def test_attention_trained_while_attached_stays_trained(family):
    model = small(family)
    ids, mask = text()
    sw.attach(model, "exact")
    heads = next(iter(attention_layers(model).values()))
    with torch.no_grad():
        heads.q.weight.mul_(1.5)
        heads.v.bias.add_(1)
    attached = run(model, ids, mask)
    sw.detach(model)
    torch.testing.assert_close(run(model, ids, mask)[mask.bool()], attached[mask.bool()],
                               rtol=0, atol=1e-10)


def test_state_holds_every_weight_once(family):
    model = small(family)
    count = sum(p.numel() for p in model.parameters())
    sw.attach(model, "exact")
    hashes = sum(h.a.numel() for h in attention_layers(model).values())
    assert sum(p.numel() for p in model.parameters()) == count + hashes
    storages = [value.data_ptr() for value in model.state_dict().values() if value.numel()]
    assert len(storages) == len(set(storages))


def test_state_goes_to_another_attached_model(family):
    model, other = small(family), small(family)
    for m in (model, other):
        sw.attach(m, "cta", "lookup", ffn_options={"h": 4, "tau": 3},
                  attention_options={"seed": 1 if m is model else 2})
    ids, mask = text()
    assert not torch.equal(run(model, ids, mask), run(other, ids, mask))
    other.load_state_dict(model.state_dict())
    assert torch.equal(run(model, ids, mask), run(other, ids, mask))


def test_copy_detaches_on_its_own(family):
    model = small(family)
    ids, mask = text()
    before = run(model, ids, mask)
    sw.attach(model, "cta", "vanilla")
    attached = run(model, ids, mask)
    twin = copy.deepcopy(model)
    sw.detach(twin)
    assert torch.equal(run(twin, ids, mask), before)
    assert torch.equal(run(model, ids, mask), attached)
    sw.detach(model)
    shared = set(map(torch.Tensor.data_ptr, twin.parameters()))
    assert shared.isdisjoint(map(torch.Tensor.data_ptr, model.parameters()))


def test_detach_follows_the_dtype(family):
    model = small(family, dtype=torch.float32)
    sw.attach(model, "cta", "vanilla")
    sw.detach(model.double())
    assert {p.dtype for p in model.parameters()} == {torch.float64}


def test_dropout_and_mode_of_the_host(family):
    name = "attention_dropout" if family == "distilbert" else "attention_probs_dropout_prob"
    model = small(family, **{name: 0.25})
    sw.attach(model, "cta", "vanilla")
    assert {heads.dropout for heads in attention_layers(model).values()} == {0.25}
    assert not any(module.training for module in model.modules())
    sw.detach(model.train())
    assert all(module.training for module in model.modules())


def test_one_step_of_training(family):
    name = "dropout" if family == "distilbert" else "hidden_dropout_prob"
    model = small(family, dtype=torch.float32, **{name: 0.0})
    sw.attach(model, "cta", "lookup", ffn_options={"h": 4, "tau": 3})
    model.train()
    ids, mask = text((9, 9))
    weights = list(encoder(model).parameters())
    optimiser = torch.optim.SGD(weights, lr=0.01)
    losses = []
    for _ in range(2):
        optimiser.zero_grad()
        loss = (model(ids, attention_mask=mask).last_hidden_state - 1).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]
    for ffn in ffn_layers(model).values():
        assert ffn.tables.grad.abs().max() > 0
    for heads in attention_layers(model).values():
        assert heads.q.weight.grad.abs().max() > 0 and heads.a.grad is None


def test_some_layers_only(family):
    model = small(family)
    ids, mask = text()
    report = sw.attach(model, "cta", layers=[-1])
    last = len([row for row in report.rows if row.part == "attention"]) - 1
    assert [row.layer for row in report.replaced] == [last]
    assert {row.why for row in report.kept if row.part == "attention"} == {
        "not among the chosen layers"}
    assert len(attention_layers(model)) == 1 and not ffn_layers(model)
    run(model, ids, mask)
    sw.attach(model, None, "vanilla", layers=range(1), ffn_options={"d_ff": 8})
    assert len(ffn_layers(model)) == 1
    run(model, ids, mask)
    assert {(row.layer, row.part) for row in sw.detach(model).replaced} == {
        (last, "attention"), (0, "ffn")}


def test_every_family_is_tried():
    tried = {model(config(**SHAPE | more)).config.model_type
             for model, config, more in FAMILIES.values()}
    named = {family.LAYER.split(".")[2].replace("xlm_roberta", "xlm-roberta")
             for family in KNOWN if family.LAYER}
    assert tried == named


def test_albert_shares_one_replacement():
    model = small("albert")
    report = sw.attach(model, "cta")
    # 3 depths in 2 groups of 2 layers: depths 0 and 1 run group 0, depth 2 runs group 1.
    assert len(report.replaced) == 4
    assert [row.why for row in report.replaced] == [
        "one set of weights for depths 0, 1"] * 2 + ["", ""]


def test_names_and_report():
    model = transformers.BertForMaskedLM(transformers.BertConfig(
        **SHAPE, pad_token_id=1, bos_token_id=0, eos_token_id=2))
    report = sw.attach(model, "cta", "lookup", ffn_options={"h": 4, "tau": 3}, layers=[1, 2])
    assert list(attention_layers(model)) == [f"bert.encoder.layer.{i}.attention.self.heads"
                                             for i in (1, 2)]
    assert list(ffn_layers(model)) == [f"bert.encoder.layer.{i}.intermediate.ffn" for i in (1, 2)]
    rows = {(row.layer, row.part): row for row in report.rows}
    assert rows[1, "attention"].was == "BertSelfAttention"
    assert rows[1, "attention"].now == "CTAHeads, cta, l 6, random"
    assert rows[1, "attention"].name == "bert.encoder.layer.1.attention.self"
    assert rows[2, "ffn"].was == "MLP of BertLayer" and rows[2, "ffn"].now == "LookupFFN"
    assert not rows[0, "ffn"].replaced and rows[0, "ffn"].was == rows[0, "ffn"].now
    assert "BertForMaskedLM: 4 of 6 parts replaced" in str(report)


def test_layers_hash_differently():
    model = small("bert")
    sw.attach(model, "cta", attention_options={"seed": 4})
    a = [heads.a for heads in attention_layers(model).values()]
    assert not torch.equal(a[0], a[1])
    fresh = small("bert")
    sw.attach(fresh, "cta", attention_options={"seed": 5}, layers=[0, 1])
    assert torch.equal(next(iter(attention_layers(fresh).values())).a, a[1])


def test_attach_draws_nothing_from_torchs_generator():
    model = small("bert")
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    sw.attach(model, "cta")
    assert torch.equal(torch.rand(3), expected)


def test_hidden_states_and_attention_weights(family):
    model = small(family, "eager")
    ids, mask = text()
    sw.attach(model, "exact", layers=[0])
    with torch.no_grad():
        states = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    with pytest.raises(ValueError, match="output_attentions is True, must be False"):
        run(model, ids, mask, output_attentions=True)
    model.config.output_attentions = True
    with pytest.raises(ValueError, match="output_attentions is True, must be False"):
        run(model, ids, mask)
    model.config.output_attentions = False
    sw.detach(model)
    with torch.no_grad():
        out = model(ids, attention_mask=mask, output_attentions=True, output_hidden_states=True)
    depths = 6 if family == "albert" else 3
    assert len(out.attentions) == depths and len(out.hidden_states) == len(states) == depths + 1


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"albert", "distilbert"}))
def test_decoder_is_refused(family):
    model = small(family, is_decoder=True)
    with pytest.raises(ValueError, match="is_decoder is True: a causal mask cannot be kept"):
        sw.attach(model, "cta")
    report = sw.attach(model, None, "vanilla")      # feed-forward networks work token by token
    assert len(report.replaced) == 3


def test_relative_positions_are_refused():
    model = small("bert")
    model.config.position_embedding_type = "relative_key"
    with pytest.raises(ValueError, match="position_embedding_type is 'relative_key'"):
        sw.attach(model, "cta")


def test_linears_of_another_class_are_refused():
    class Adapted(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)
    model = small("bert")
    model.encoder.layer[1].attention.self.key = Adapted(32, 32)
    report = sw.attach(model, "cta")
    assert [row.layer for row in report.replaced] == [0, 2]
    assert report.rows[2].why == "key is a Adapted, CTA needs an nn.Linear"


def test_causal_model_is_refused_with_the_reason():
    model = transformers.GPT2Model(transformers.GPT2Config(
        n_layer=1, n_embd=32, n_head=2, vocab_size=50, bos_token_id=0, eos_token_id=1))
    with pytest.raises(ValueError, match="GPT2Model has no layer that can be replaced.*"
                                         "GPT2Attention is causal: a causal mask cannot be kept"):
        sw.attach(model, "cta")


def test_masks_of_single_queries_are_refused():
    model = small("bert")
    ids, _ = text()
    sw.attach(model, "exact")
    with pytest.raises(ValueError, match="attention_mask differs from query to query"):
        run(model, ids, torch.ones(11, 11).tril().bool().expand(3, 1, 11, 11))


def test_cache_and_second_sequence_are_refused():
    model = small("bert")
    sw.attach(model, "exact")
    attention = model.encoder.layer[0].attention.self
    x = torch.zeros(1, 3, 32, dtype=torch.float64)
    for options in ({"past_key_values": object()}, {"encoder_hidden_states": x}):
        with pytest.raises(ValueError, match="must be None: attached attention"):
            attention(x, **options)
    with pytest.raises(ValueError, match="is_causal is True"):
        attention(x, is_causal=True)
