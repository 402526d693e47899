"""Pictures moved and cut: by how much, each on its own, alike for both kinds, and open to a gradient."""

import pytest
import torch

from ganbook.augmentation import Augmented, cut_out, translate
from ganbook.errors import InputError
from ganbook.objectives import NonSaturating
from ganbook.penalties import R1, Penalized

pytestmark = pytest.mark.usefixtures("one_thread")


def dots(n, size=16, at=(8, 5)):
    x = torch.zeros(n, 2, size, size)
    x[:, :, at[0], at[1]] = 1
    return x


def test_a_picture_is_moved_whole_by_up_to_an_eighth_either_way():
    torch.manual_seed(0)
    moved = translate(dots(500))
    where = moved[:, 0].nonzero()
    assert len(where) == 500 and torch.equal(moved[:, 0], moved[:, 1])
    assert where[:, 1].unique().tolist() == [6, 7, 8, 9, 10]
    assert where[:, 2].unique().tolist() == [3, 4, 5, 6, 7]
    assert len(where[:, 1:].unique(dim=0)) == 25  # down and across on their own


def test_what_leaves_is_lost_and_grey_comes_in():
    torch.manual_seed(0)
    moved = translate(torch.ones(200, 1, 8, 8), 1 / 4)
    lost = (moved == 0).flatten(1).sum(1)
    assert lost.min() == 0 and lost.max() == 64 - 36
    assert set(moved.unique().tolist()) == {0, 1}


def test_pictures_that_are_not_square_keep_their_shape():
    assert translate(torch.rand(3, 1, 8, 24)).shape == cut_out(torch.rand(3, 1, 8, 24)).shape == (3, 1, 8, 24)


def test_a_rectangle_of_half_the_sides_is_cut_out():
    torch.manual_seed(0)
    cut = cut_out(torch.ones(500, 3, 16, 32)) == 0
    assert torch.equal(cut[:, 0], cut[:, 2])
    for axis, side in ((2, 16), (1, 32)):
        length = cut[:, 0].any(axis).sum(1)
        assert length.max() == side // 2 and length.min() <= side // 4 + 1
        assert cut[:, 0].any(axis).any(0).all()  # anywhere
    rows, columns = cut[:, 0].any(2), cut[:, 0].any(1)
    assert torch.equal(cut[:, 0], rows[:, :, None] & columns[:, None])


@pytest.mark.parametrize("change", [translate, cut_out])
def test_a_gradient_passes_where_the_picture_does(change):
    torch.manual_seed(0)
    x = torch.rand(20, 1, 16, 16, requires_grad=True)
    (x_changed := change(x)).sum().backward()
    assert x.grad.sum() == (x_changed != 0).sum() and set(x.grad.unique().tolist()) <= {0, 1}


@pytest.mark.parametrize("change", [translate, cut_out])
def test_a_share_of_nothing_changes_nothing(change):
    x = torch.rand(4, 1, 9, 9)
    assert torch.equal(change(x, 0), x)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="share"):
            change(x, share)


class Noted:
    """An objective that keeps what it is given."""

    def d_loss(self, D, x, x_fake, y=None):
        self.d = (D, x, x_fake, y)

    def g_loss(self, D, x_fake, y=None):
        self.g = (D, x_fake, y)


def test_both_kinds_are_changed_in_both_turns_in_order():
    objective = Augmented(noted := Noted(), lambda x: x + 1, lambda x: 2 * x)
    objective.d_loss("D", torch.ones(2), torch.zeros(2), "y")
    objective.g_loss("D", torch.full((2,), 3.0), "y")
    assert noted.d[0] == noted.g[0] == "D" and noted.d[3] == noted.g[2] == "y"
    assert noted.d[1].tolist() == [4, 4] and noted.d[2].tolist() == [2, 2] and noted.g[1].tolist() == [8, 8]


class Flat(torch.nn.Linear):
    def forward(self, x, y=None):
        return super().forward(x.flatten(1)).squeeze(1)


def test_without_changes_it_is_the_objective_and_a_penalty_goes_around_it():
    torch.manual_seed(0)
    D, x, x_fake = Flat(64, 1), torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    assert Augmented(NonSaturating()).d_loss(D, x, x_fake) == NonSaturating().d_loss(D, x, x_fake)
    assert Augmented(NonSaturating()).g_loss(D, x_fake) == NonSaturating().g_loss(D, x_fake)
    plain, penalty = Augmented(NonSaturating(), lambda x: -x), R1(2.0)
    both = Penalized(plain, penalty).d_loss(D, x, x_fake)
    torch.testing.assert_close(both, plain.d_loss(D, x, x_fake) + D.weight.square().sum())
