"""Hard inputs that fail as yet: moved to `test_hard_inputs` and `test_sklearn_suite` once mended.

pytest does not collect this file by itself. Run it with

    python -m pytest tests/hard_pending.py
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tests.test_hard_inputs import (
    check,
    nearly_equal,
)

# Tests of scikit-learn that fail as yet, all because coefficients that should be exact zeros under
# an L1 penalty are of the size of rounding.
SKLEARN = (
    "test_sparse_input",
    "test_elasticnet_precompute_gram",
    "test_elasticnet_precompute_gram_weighted_samples",
    "test_sample_weight_invariance",
    "test_sparse_enet_not_as_toy_dataset",
    "test_sparse_lasso_not_as_toy_dataset",
    "test_sparse_dense_equality",
)


@pytest.mark.parametrize("off", [1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_nearly_equal_columns_are_penalised_alike_sparse_and_dense(off, container, l1_ratio):
    check(nearly_equal(off, container, alpha=0.01, l1_ratio=l1_ratio, loss_mix=0.5))
