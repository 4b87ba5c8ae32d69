"""Products of sliced matrices with vectors and with the rows of a batch."""

import jax
import numpy as np
import pytest
import scipy.sparse as sp

from ablasim.solve.kernels import BLOCK, UNROLLED, product, put, take
from ablasim.solve.layout import slice_rows

LONGEST = UNROLLED + 3 * BLOCK + 5


@pytest.mark.parametrize("problems", [0, 1, 16])
def test_rows_of_any_length(problems: int) -> None:
    """Short ones entry by entry, long ones by blocks or at once. Catches the entries after the last
    whole block, and a block that is added twice."""
    random = np.random.default_rng(1)
    lengths = np.arange(LONGEST)  # every length, none left out
    columns = [np.sort(random.choice(200, size=n, replace=False)) for n in lengths]
    matrix = sp.csr_matrix(
        (
            random.standard_normal(lengths.sum()),
            np.concatenate(columns),
            np.concatenate([[0], np.cumsum(lengths)]),
        ),
        (LONGEST, 200),
    )
    packed = slice_rows(matrix.indptr, matrix.indices, slices=8)
    assert max(len(index) for index in packed.index) > UNROLLED + BLOCK
    place = np.argsort(packed.order)
    x = random.standard_normal((200, problems) if problems else 200)
    values = packed.pack(matrix.data)
    with jax.enable_x64(True):
        wide = [put(v[..., None] if problems else v) for v in values]
        found = take(product(tuple(map(put, packed.index)), tuple(wide), put(x)), put(place))
    assert np.asarray(found) == pytest.approx(matrix @ x, rel=1e-12, abs=1e-12)
