"""Guide losses against vectors computed independently in float64, and the refusal of those that cannot work."""

from __future__ import annotations

import logging
import math

import pytest
import torch

from curator.errors import GeneratorError, UsageError
from curator.generators.diffusion.guide_losses import (
    LossChoice,
    code_energy,
    code_msp,
    confidence_gap,
    energy,
    energy_hinge,
    make_loss,
    moves,
    uniform_ce,
)

LOGITS = torch.tensor([[2.0, 1.0, 0.1]], dtype=torch.float64)
FLAT = torch.zeros(1, 1000, dtype=torch.float64)


def paper_eq7(logits, *, m_out, tau):
    """m_out - tau LSE(g / tau), as SynOOD prints it."""
    return m_out + energy(logits, tau)


def gradient_of(loss, logits):
    leaf = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf).sum(), leaf)[0]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (LOGITS.logsumexp(1), 2.417030),
        (energy(LOGITS, 1.0), -2.417030),
        (-energy(LOGITS, 2.0), 3.379555),
        (paper_eq7(LOGITS, m_out=-5.0, tau=1.0), -7.417030),
        (energy_hinge(LOGITS, m_out=-5.0, tau=1.0), 0.0),
        (energy_hinge(LOGITS, m_out=-1.0, tau=1.0), 1.417030**2),
        (confidence_gap(LOGITS), -1.383697),
        (code_energy(LOGITS), 13.077650),
        (uniform_ce(LOGITS), 0.081273),
        (confidence_gap(FLAT), -6.907755),
        (code_energy(FLAT), 3.639531),
        (uniform_ce(FLAT), 0.0),
        (code_msp(FLAT), -0.006909),
        (code_msp(torch.linspace(-9, 9, 1000, dtype=torch.float64)[None]), -0.006909),
    ],
)
def test_losses_have_the_values_of_the_reference(found, expected):
    assert found.shape == (1,)
    assert float(found) == pytest.approx(expected, abs=1.5e-6)


def test_each_image_has_its_own_loss():
    both = torch.cat([LOGITS, 3 * LOGITS])
    for loss in (uniform_ce, code_energy, code_msp, lambda logits: energy_hinge(logits, m_out=0.0, tau=0.5)):
        torch.testing.assert_close(loss(both), torch.cat([loss(LOGITS), loss(3 * LOGITS)]))


def test_the_loss_of_the_code_makes_an_image_of_three_classes_more_confident():
    gradient = gradient_of(code_energy, LOGITS)
    expected = torch.tensor([[-2.355427, 0.657447, 1.697981]], dtype=torch.float64)
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=0)
    assert gradient_of(uniform_ce, LOGITS)[0, 0] > 0, "descent lowers the top logit, as it should"


def test_with_a_thousand_classes_the_loss_of_the_code_points_where_ours_does():
    logits = torch.randn(1, 1000, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 4
    cosine = torch.nn.functional.cosine_similarity(gradient_of(code_energy, logits), gradient_of(uniform_ce, logits))
    assert float(cosine) == pytest.approx(1.0, abs=1e-12)
    assert float(gradient_of(code_energy, FLAT).abs().max()) < 1e-12


def test_uniform_ce_is_the_square_of_a_divergence_and_zero_for_uniform_logits_of_any_number_of_classes():
    for classes in (2, 10, 148, 149):
        logits = torch.randn(1, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(classes))
        divergence = -math.log(classes) - logits.log_softmax(1).mean()
        assert float(uniform_ce(logits)) == pytest.approx(float(divergence) ** 2)
        assert float(uniform_ce(torch.full((1, classes), 3.0, dtype=torch.float64))) == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_a_loss_without_a_gradient_is_refused(classes):
    assert not moves(code_msp, classes)
    assert not moves(lambda logits: logits.detach().sum(1).requires_grad_(), classes)
    with pytest.raises(GeneratorError, match="code_msp has a gradient of 0 everywhere"):
        make_loss(LossChoice("code_msp"), class_count=classes)


def test_no_loss_moves_anything_with_a_single_class():
    with pytest.raises(GeneratorError, match="uniform_ce has a gradient of 0") as caught:
        make_loss(LossChoice(), class_count=1)
    assert "two classes" in caught.value.hint


@pytest.mark.parametrize(
    "choice", [LossChoice(), LossChoice("energy_hinge", m_out=-12.0, tau=2.0), LossChoice("code_energy")]
)
def test_losses_that_work_are_made(choice):
    loss = make_loss(choice, class_count=1000)
    assert loss(FLAT).shape == (1,)


def test_the_equation_of_the_paper_is_refused_with_the_reason():
    with pytest.raises(GeneratorError, match="sign error"):
        make_loss(LossChoice("paper_eq7", m_out=-5.0), class_count=1000)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (LossChoice("hinge"), "no guide loss 'hinge'"),
        (LossChoice("energy_hinge"), "needs m_out"),
        (LossChoice("energy_hinge", m_out=1.0, tau=0.0), "tau is 0"),
    ],
)
def test_what_cannot_be_is_a_usage_error(choice, said):
    with pytest.raises(UsageError, match=said):
        make_loss(choice, class_count=10)


def test_the_loss_of_the_code_warns_when_its_target_is_within_reach(caplog):
    with caplog.at_level(logging.WARNING, logger="curator"):
        make_loss(LossChoice("code_energy"), class_count=149)
        assert not caplog.records
        make_loss(LossChoice("code_energy"), class_count=148)
    assert "more confident" in caplog.text
