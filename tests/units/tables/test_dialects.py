"""Tables as people write them: no column is renamed, none is named by a flag."""

import math

import numpy as np
import pytest

from scalefit.core.errors import InputError
from scalefit.tables import read
from scalefit.tables.arrays import floats
from scalefit.tables.units import is_rate, loss_unit, split

NATS, BYTE = "nats per token", "bits per byte"
# Name, header, one row, what N, D, C and L come to, and the unit of L. Sources are repositories
# and logs where such headers are found; a row is as small as shows the units.
DIALECTS = {
    "the contract": ("N,D,L", "1e6,2e9,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS),
    "bare names": ("params,tokens,loss", "1e6,2e9,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS),
    "Chinchilla digitised": (
        "params,tokens,flops,loss,outlier_in_paper",
        "1e6,2e9,1.3e16,3.5,False", (1e6, 2e9, 1.3e16, 3.5), NATS,
    ),
    "isoFLOP points": (
        "source,dataset,model,flops_budget,params,tokens,loss,flagged_outlier",
        "a,b,c,1.3e16,1e6,2e9,3.5,True", (1e6, 2e9, 1.3e16, 3.5), NATS,
    ),
    "Gemstones": (
        "subset,run_name,width,depth,params,tokens,step,num_nodes,seconds_per_step,loss",
        "a,r,1024,28,1e6,2e9,10,32,1.4,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "data-constrained runs": (
        "run_name,kind,seed,params,tokens,unique_tokens,epochs,flops,loss",
        "r,main,,1e6,2e9,1e9,2,1.3e16,3.5", (1e6, 2e9, 1.3e16, 3.5), NATS,
    ),
    "non-embedding only": (
        "model,params_non_embedding,tokens_seen,val_loss",
        "a,1e6,2e9,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "routed language models": (
        "hyper_id,step,loss_validation,total_parameter_count,tokens",
        "0,10,3.5,1e6,2e9", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "active parameters": (
        "moe_name,top_k,active_params,tokens,lr,final_loss",
        "a,1,1e6,2e9,1e-3,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "nanochat": (
        "flops_budget,depth,model_dim,scaling_params,tokens_trained,val_bpb",
        "1.3e16,8,512,1e6,2e9,0.9", (1e6, 2e9, 1.3e16, 0.9), BYTE,
    ),
    "optimal learning rates": (
        "N,D,C,lr,gbsz,loss", "1e6,2e9,1.3e16,1e-3,42,3.5", (1e6, 2e9, 1.3e16, 3.5), NATS,
    ),
    "billions in the header": (
        "Model,Model Family,Model Size (B),Pretraining Data Size (T),FLOPs (1E21),Loss",
        "a,b,0.001,0.002,0.000013,3.5", (1e6, 2e9, 1.3e16, 3.5), NATS,
    ),
    "millions after an underscore": (
        "name,params_M,tokens_B,val_loss", "r,1,2,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "in millions, in words": (
        "n_params_in_millions,train_tokens_billions,eval_loss",
        "1,2,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "units in square brackets": (
        "params [M],tokens [B],compute [ZFLOPs],loss [nats]",
        "1,2,1.3e-5,3.5", (1e6, 2e9, 1.3e16, 3.5), NATS,
    ),
    "suffixes in the cells": (
        "model_size,total_tokens,loss", "1M,2B,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "petaflop days": (
        "parameters,training_tokens,compute_pf_days,test_loss",
        "1e6,2e9,2,3.5", (1e6, 2e9, 2 * 8.64e19, 3.5), NATS,
    ),
    "the Hugging Face trainer": (
        "num_params,num_input_tokens_seen,total_flos,eval/loss",
        "1e6,2e9,1.3e16,3.5", (1e6, 2e9, 1.3e16, 3.5), NATS,
    ),
    "Levanter and Marin": (
        "Name,parameter_count,throughput/total_tokens,throughput/total_gflops,eval/bpb",
        "r,1e6,2e9,1.3e7,0.9", (1e6, 2e9, 1.3e16, 0.9), BYTE,
    ),
    "OLMo-core": (
        "_step,total_params,throughput/total tokens,throughput/total petaflops,train/CE loss",
        "10,1e6,2e9,13,3.5", (1e6, 2e9, 1.3e16, 3.5), NATS,
    ),
    "Megatron-LM": (
        "iteration,n_parameters,consumed-tokens,lm loss,learning rate",
        "10,1e6,2e9,3.5,1e-4", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "nanotron": (
        "iteration,model_num_parameters,consumed_tokens,lm_loss,lr",
        "10,1e6,2e9,3.5,1e-4", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "torchtitan": (
        "step,params_total,n_tokens_seen,loss_metrics/global_avg_loss,throughput(tps),mfu(%)",
        "10,1e6,2e9,3.5,1e4,40", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "a W&B table of runs": (
        "Name,State,Tags,n_params,tokens,val/loss",
        "r,finished,x=1,1e6,2e9,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "perplexity": (
        "n_params,n_tokens,val_ppl", f"1e6,2e9,{math.exp(3.5)!r}", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "bits per token": (
        "size,tokens,loss (bits)",
        f"1e6,2e9,{3.5 / math.log(2)!r}", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "compute and size alone": (
        "model,n_params,train_flops,loss", "a,1e6,1.2e16,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "compute and data alone": (
        "budget,num_tokens,CrossEntropyLoss", "1.2e16,2e9,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "number signs": (
        "Model,#Params(M),# tokens (B),Final val loss", "a,1,2,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "losses in words": (
        "model,parameters,tokens,Validation cross-entropy loss (nats/token)",
        "a,1e6,2e9,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
    "steps and batch": (
        "N,train_steps,tokens_per_step,loss", "1e6,1e4,2e5,3.5", (1e6, 2e9, 1.2e16, 3.5), NATS,
    ),
}  # fmt: skip


def test_there_are_at_least_twenty_eight():
    assert len(DIALECTS) >= 28


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_table_of_each_dialect_is_read_as_it_is(tmp_path, dialect):
    header, row, values, unit = DIALECTS[dialect]
    path = tmp_path / "runs.csv"
    path.write_text(f"{header}\n{row}\n{row}\n")
    runs = read(path)
    found = [float(floats(runs.table.column(role))[0]) for role in ("N", "D", "C", "L")]
    np.testing.assert_allclose(found, values, rtol=1e-12)
    assert runs.table.schema.field("L").metadata[b"unit"].decode() == unit


@pytest.mark.parametrize(
    ("header", "role", "first"),
    [
        ("params,params_non_embedding,tokens,loss", "N", "params"),
        ("params_total,params_active,tokens,loss", "N", "params_total"),
        ("params,tokens,train_loss,val_loss", "L", "val_loss"),
        ("params,tokens,total_tokens,loss", "D", "tokens"),
        ("params,tokens,flops,flops_budget,loss", "C", "flops"),
        ("params (M),params_B,tokens,loss", "N", "params (M)"),
    ],
)
def test_two_candidates_stop_with_all_of_them_and_the_flag_to_type(tmp_path, header, role, first):
    path = tmp_path / "runs.csv"
    path.write_text(header + "\n" + ",".join(["1"] * (header.count(",") + 1)) + "\n")
    with pytest.raises(InputError, match=f"2 columns could be {role}") as caught:
        read(path)
    assert caught.value.hint.startswith("choose one: --col ")
    assert f"{role}={first}" in caught.value.hint
    assert read(path, columns={role: first, "N": header.split(",")[0]}).rows == 2 - 1


def test_what_was_derived_is_told_with_its_rule(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("C,D,L\n1.2e16,2e9,3.5\n1.2e17,2e9,3.4\n")
    runs = read(path)
    assert runs.derived == {"N": "6ND"}
    (note,) = runs.notes
    assert note.code == "input-derived"
    assert "N" in note.message
    assert "6ND" in note.message


def test_a_given_column_is_never_overwritten_by_a_rule(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,D,step,batch_tokens,L\n1e6,7e9,10,10,3.5\n2e6,7e9,10,10,3.4\n")
    runs = read(path)
    assert floats(runs.table.column("D")).tolist() == [7e9, 7e9]
    assert runs.derived == {"C": "6ND"}


def test_a_unit_in_the_name_is_told(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("params_M,tokens,loss\n1,2e9,3.5\n2,2e9,3.4\n")
    (note,) = read(path).notes
    assert note.code == "unit-converted"
    assert "'params_M' was multiplied by 1000000 " in note.message


def test_the_error_of_a_loss_in_bits_becomes_nats(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,val_loss_bits,loss_se\n1e6,5,0.1\n2e6,4,0.2\n")
    runs = read(path)
    np.testing.assert_allclose(
        floats(runs.table.column("loss_se")), np.log(2) * np.array([0.1, 0.2])
    )


@pytest.mark.parametrize(
    ("name", "base", "factor"),
    [
        ("params", "params", 1), ("params_M", "params", 1e6), ("params (M)", "params", 1e6),
        ("nTokensB", "nTokens", 1e9), ("tokens_1e9", "tokens", 1e9), ("size[bn]", "size", 1e9),
        ("D (trillions)", "D", 1e12), ("total_gflops", "total_flops", 1e9),
        ("train ZFLOPs", "train flops", 1e21), ("compute (10^18)", "compute", 1e18),
        ("compute (EFLOP)", "compute", 1e18), ("tokens (tokens)", "tokens", 1),
        ("team", "team", 1), ("run_a", "run_a", 1), ("GPT (large)", "GPT (large)", 1),
        ("PF-days", "flops", 8.64e19), ("item", "item", 1),
    ],
)  # fmt: skip
def test_a_name_gives_its_scale(name, base, factor):
    assert split(name) == (base, factor)


@pytest.mark.parametrize(
    "name", ["tflops_per_gpu", "throughput(tps)", "model_tflops_per_gpu", "tokens_per_second"]
)
def test_speeds_are_not_totals(name):
    assert is_rate(name)


@pytest.mark.parametrize("name", ["tflops", "tflops_per_gpu", "throughput/tflops"])
def test_a_speed_is_no_compute(tmp_path, name):
    path = tmp_path / "runs.csv"
    path.write_text(f"N,D,{name},L\n1e6,2e9,5,3\n2e6,2e9,5,2\n")
    assert "C" not in read(path).columns


@pytest.mark.parametrize(
    ("name", "unit", "value"),
    [
        ("loss", NATS, 2.0), ("log_ppl", NATS, 2.0), ("ppl", NATS, math.log(2)),
        ("bpb", BYTE, 2.0), ("bits_per_byte", BYTE, 2.0), ("loss (bits/byte)", BYTE, 2.0),
        ("bpc", "bits per character", 2.0), ("bits_per_token", NATS, 2 * math.log(2)),
        ("loss_bits", NATS, 2 * math.log(2)), ("loss (nats)", NATS, 2.0),
    ],
)  # fmt: skip
def test_a_name_gives_the_unit_of_a_loss(name, unit, value):
    found = loss_unit(name)
    assert found.name == unit
    np.testing.assert_allclose(found.turn(np.array([2.0])), [value])
