"""Training: what it promises of its result, its time, its seed and its surroundings."""

from __future__ import annotations

import io
import itertools
import random
import sys
import time
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from isthmus import Autoencoder, Phase, Recipe, spec
from isthmus.core.errors import SpecError, TrainingError

X = load_digits().data[:400]
SMALL = spec("mlp", widths=(16,))


def small(**changes: Any) -> Autoencoder:
    return Autoencoder(**{"latent_dim": 4, "epochs": 3, "network": SMALL, **changes})


def same_weights(one: Autoencoder, other: Autoencoder) -> bool:
    ours, theirs = one.model_.state_dict(), other.model_.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


class Watching(nn.Linear):
    """A layer that notes the size of every batch it is trained on, and the threads at hand."""

    batches: list[int]
    threads: set[int]

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.batches.append(len(x))
            self.threads.add(torch.get_num_threads())
        return super().forward(x)


@pytest.fixture
def watched() -> dict[str, Any]:
    """Own modules, the first of which notes down what it sees."""
    Watching.batches, Watching.threads = [], set()
    return {"encoder": Watching(64, 4), "decoder": nn.Linear(4, 64), "network": None}


# ---------------------------------------------------------------------------- divergence


@pytest.mark.parametrize(
    ("rate", "validation"), [(1e2, 0.1), (1e4, 0.1), (1e4, 0), (1e6, 0.1), (1e6, 0)]
)
def test_divergence_is_caught_rolled_back_and_reported(rate: float, validation: float) -> None:
    ae = small(learning_rate=rate, epochs=10, validation=validation)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        ae.fit(X)
    assert any("diverged" in event and "went back" in event for event in ae.events_)
    plain = small(recipe="linear").fit(X)
    assert ae.score(X) >= plain.score(X) - 1e-3 * abs(plain.score(X))
    assert np.isfinite(ae.reconstruct(X)).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_penalty_that_learns_recovers_with_the_model() -> None:
    ae = small(recipe="adversarial", optimizer="sgd", learning_rate=1e6, epochs=10).fit(X)
    assert any("went back" in event for event in ae.events_)
    assert np.isfinite(ae.reconstruct(X)).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("rate", [0.3, 3.0])
def test_a_rate_that_is_too_high_never_gives_less_than_the_start(rate: float) -> None:
    ae = small(learning_rate=rate, epochs=5).fit(X)
    assert ae.validation_["trained"] < ae.validation_["start"] or ae.kept_ == "start"
    plain = small(recipe="linear").fit(X)
    assert ae.kept_ == "trained" or ae.score(X) == pytest.approx(plain.score(X), rel=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_hopeless_divergence_is_an_error_in_words_and_leaves_nothing_half_fitted() -> None:
    ae = small(learning_rate=1e15, epochs=10)
    with pytest.raises(TrainingError, match=r"diverged .* Lower learning_rate"):
        ae.fit(X)
    assert not hasattr(ae, "model_")


# ---------------------------------------------------------------------------- how long


def test_max_time_ends_a_run_early() -> None:
    small(epochs=1).fit(X)  # what torch imports at its first step is not training's time
    began = time.monotonic()
    ae = small(epochs=100_000, max_time=0.3).fit(X)
    assert 1 <= ae.n_iter_ < 100_000
    assert time.monotonic() - began < 30


def test_time_that_runs_out_at_any_moment_is_no_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks) / 8)
    ends = {small(batch_size=100, epochs=50, max_time=n / 8).fit(X).n_iter_ for n in range(1, 40)}
    assert len(ends) > 3


def test_a_run_shorter_than_its_time_ends_with_its_epochs() -> None:
    assert small(epochs=2, max_time="1h").fit(X).n_iter_ == 2


def test_each_phase_gets_its_share_of_the_time() -> None:
    small(epochs=1).fit(X)
    phases = (Phase(beta=0.0, share=1.0), Phase(beta=0.0, share=3.0))
    ae = small(recipe=Recipe(phases=phases), epochs=100_000, max_time=0.8).fit(X)
    assert {entry["phase"] for entry in ae.history_} == {0, 1}


def test_patience_ends_a_run_that_gets_no_better() -> None:
    noise = np.random.default_rng(0).normal(size=(120, 30))
    ae = small(epochs=100, patience=3, latent_dim=2).fit(noise)
    assert ae.n_iter_ < 100
    assert any("no better" in event for event in ae.events_)
    errors = [e["validation_error"] for e in ae.history_ if "validation_error" in e]
    assert min(errors) < errors[-1]


def test_the_best_weights_on_validation_are_kept_not_the_last() -> None:
    noise = np.random.default_rng(0).normal(size=(120, 30))
    ae = small(epochs=60, patience=60, latent_dim=2, learning_rate=0.02, weight_decay=0.0)
    ae.fit(noise + 3 * np.arange(30)[:, None].repeat(4, 0))
    errors = [e["validation_error"] for e in ae.history_ if "validation_error" in e]
    assert min(errors) < errors[-1], "it did not overfit, so this shows nothing"
    if ae.kept_ == "trained":
        assert ae.validation_["trained"] == pytest.approx(min(errors), rel=1e-5)


# ---------------------------------------------------------------------------- data


def test_without_validation_the_last_weights_are_kept_and_nothing_is_claimed() -> None:
    ae = small(validation=0).fit(X)
    assert ae.kept_ == "trained"
    assert not {"trained", "start"} & set(ae.validation_)
    assert not any("validation" in entry for entry in ae.history_)


def test_rows_held_out_are_not_trained_on(watched: dict[str, Any]) -> None:
    small(**watched, validation=0.25, epochs=2).fit(X)
    assert sum(Watching.batches) == 2 * 300


def test_a_full_batch_is_all_rows_at_once(watched: dict[str, Any]) -> None:
    small(**watched, batch_size="full", validation=0, epochs=5).fit(X)
    assert Watching.batches == [400] * 5


def test_batches_are_of_nearly_equal_size_and_hold_every_row(watched: dict[str, Any]) -> None:
    small(**watched, batch_size=90, validation=0, epochs=1).fit(X)
    assert sum(Watching.batches) == 400
    assert max(Watching.batches) - min(Watching.batches) <= 1
    assert max(Watching.batches) <= 90


@pytest.mark.parametrize("recipe", ["autoencoder", "vae"])
def test_a_row_that_counts_twice_is_a_row_that_is_there_twice(recipe: str) -> None:
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    weighed = small(recipe=recipe).fit(X, sample_weight=weight)
    repeated = small(recipe=recipe).fit(X.repeat(weight, 0))
    np.testing.assert_allclose(weighed.transform(X), repeated.transform(X), rtol=0, atol=1e-3)
    assert weighed.score(X) == pytest.approx(repeated.score(X), rel=1e-4)
    other = small(recipe=recipe).fit(X)
    assert abs(weighed.transform(X) - other.transform(X)).max() > 1e-2, "weights do nothing"


def test_a_row_of_weight_zero_is_a_row_that_is_not_there() -> None:
    weight = np.ones(len(X))
    weight[100:] = 0
    weighed = small().fit(X, sample_weight=weight)
    np.testing.assert_allclose(
        weighed.transform(X), small().fit(X[:100]).transform(X), rtol=0, atol=1e-4
    )


def test_only_the_proportions_of_weights_matter() -> None:
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    one, other = (small().fit(X, sample_weight=scale * weight) for scale in (1.0, 1024.0))
    assert same_weights(one, other)


def test_the_order_of_the_rows_does_not_matter() -> None:
    assert same_weights(small().fit(X), small().fit(X[::-1].copy()))


# ---------------------------------------------------------------------------- seeds


@pytest.mark.parametrize("recipe", ["autoencoder", "denoising", "vae"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(recipe: str) -> None:
    one = small(recipe=recipe, random_state=7).fit(X)
    torch.manual_seed(123)
    assert same_weights(one, small(recipe=recipe, random_state=7).fit(X))
    assert not same_weights(one, small(recipe=recipe, random_state=8).fit(X))


def test_a_fit_does_not_depend_on_the_fits_before_it() -> None:
    ae = small().fit(X[:200])
    assert same_weights(ae.fit(X), small().fit(X))


def test_no_seed_is_a_new_one_each_time() -> None:
    assert not same_weights(small(random_state=None).fit(X), small(random_state=None).fit(X))


def test_a_random_state_is_drawn_from() -> None:
    one, other = (small(random_state=np.random.RandomState(3)).fit(X) for _ in range(2))
    assert same_weights(one, other)
    state = np.random.RandomState(3)
    assert not same_weights(small(random_state=state).fit(X), small(random_state=state).fit(X))


def test_the_users_random_numbers_are_left_as_they_were(tmp_path: Any) -> None:
    from isthmus import compare, load

    def state() -> tuple[bytes, str, object]:
        numpy_state = np.random.get_state()
        return torch.get_rng_state().numpy().tobytes(), repr(numpy_state), random.getstate()

    before = state()
    for recipe in ("vae", "denoising"):
        ae = small(recipe=recipe, random_state=None).fit(X)
        ae.transform(X)
        ae.reconstruct(X)
        ae.sample(3)
        ae.score(X)
        compare(ae, X)
        ae.save(tmp_path / recipe)
        load(tmp_path / recipe).sample(2)
        assert state() == before


# ---------------------------------------------------------------------------- surroundings


def test_the_number_of_threads_is_given_back_and_small_steps_take_one(
    watched: dict[str, Any],
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        small(**watched).fit(X)
        assert torch.get_num_threads() == 2
        assert Watching.threads == {1}
        with pytest.raises(TrainingError), pytest.warns(ConvergenceWarning):
            small(learning_rate=1e15, epochs=10).fit(X)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_model_trained_in_half_precision_answers_in_full() -> None:
    half, full = (small(precision=p, epochs=10).fit(X) for p in ("bfloat16", "float32"))
    assert {p.dtype for p in half.model_.parameters()} == {torch.float32}
    assert not same_weights(half, full)
    assert half.kept_ == "trained"
    assert half.score(X) == pytest.approx(full.score(X), rel=0.1)
    x = half.kind_.batch(X[:128]).x
    with torch.no_grad():
        np.testing.assert_allclose(half.encoder_(x), half.transform(X[:128]), atol=1e-5)


def test_a_device_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="device 'nonsense' is not available"):
        small(device="nonsense").fit(X)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("recipe", ["autoencoder", "vae", "linear"])
def test_a_model_trained_on_a_gpu_is_used_there_and_elsewhere(recipe: str, tmp_path: Any) -> None:
    from isthmus import compare, load

    ae = small(recipe=recipe, device="cuda", epochs=10).fit(X)
    ae.save(tmp_path / "model")
    here = load(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(ae.transform(X), here.transform(X), atol=1e-2)
    np.testing.assert_allclose(ae.reconstruct(X), here.reconstruct(X), atol=0.2)
    assert np.array_equal(ae.transform(X)[7:8], ae.transform(X[7:8]))
    assert ae.sample(3).shape == (3, 64)
    assert compare(ae, X).rows


# ---------------------------------------------------------------------------- history


def test_the_history_has_a_row_for_every_epoch_in_order() -> None:
    recipe = Recipe(code=spec("gaussian"), phases=(Phase(beta=0.0), Phase()))
    ae = small(recipe=recipe, epochs=8, penalties=["l1"]).fit(X)
    places = [(entry["phase"], entry["epoch"]) for entry in ae.history_]
    assert places == [(phase, epoch) for phase in (0, 1) for epoch in (1, 2, 3, 4)]
    assert ae.n_iter_ == 8
    seconds = [entry["seconds"] for entry in ae.history_]
    assert seconds == sorted(seconds)
    assert all(0 < entry["learning_rate"] <= 3e-3 for entry in ae.history_)
    assert all("validation" in ae.history_[last] for last in (3, 7))


def test_the_history_has_every_part_of_the_loss_and_they_add_up() -> None:
    phase = Phase(fit=0.5, beta=2.0, penalties=(spec("l1", weight=0.25),))
    ae = small(recipe=Recipe(code=spec("gaussian"), phases=(phase,))).fit(X)
    for entry in ae.history_:
        parts = 0.5 * entry["nll"] + 2.0 * entry["rate"] + 0.25 * entry["l1"]
        assert entry["train"] == pytest.approx(parts, rel=1e-5)


def test_a_point_code_costs_nothing_so_no_rate_is_listed() -> None:
    entry = small().fit(X).history_[-1]
    assert entry["train"] == pytest.approx(entry["nll"])
    assert "rate" not in entry


def test_without_phases_nothing_is_trained() -> None:
    ae = small(recipe="linear", network=None).fit(X)
    assert (ae.history_, ae.kept_, ae.n_iter_) == ([], "start", 1)


# ---------------------------------------------------------------------------- progress


def test_progress_is_silent_when_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    small(verbose=True, epochs=20).fit(X)
    assert capfd.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("verbose", [False, True])
def test_progress_is_shown_at_a_terminal_when_asked_for(
    verbose: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    small(verbose=verbose, epochs=40).fit(X)
    assert ("training" in terminal.getvalue()) == verbose
