"""Conversion to ONNX by skl2onnx, an optional dependency: the extra ``onnx``."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss.model_selection._cv import PixelLossRegressorCV

__all__ = ["register_converters"]


def register_converters() -> None:
    """Register converters of `PixelLossRegressor` and `PixelLossRegressorCV` with skl2onnx.

    Call it once before ``skl2onnx.to_onnx`` or ``skl2onnx.convert_sklearn``; calling it again
    changes nothing. Fitted models are converted alone or as a step of a ``Pipeline``, ``clip``
    included. As for scikit-learn's regressors, the output is called ``variable`` and has two
    dimensions, (n_samples, 1) where y had one.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    skfairloss.PixelLossRegressor : The estimator.

    Notes
    -----
    The graph computes in the type of its input: float64 X gives predictions as precise as those of
    ``predict``, float32 X rounds coefficients and predictions to float32. Integers and Booleans are
    taken as float32. The graph does not check its input: NaN, which ``predict`` refuses, goes
    through.

    Groups, losses and certificate are not part of the graph.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor
    >>> from skfairloss.onnx import register_converters
    >>> from skl2onnx import to_onnx
    >>> X = np.arange(8.0).reshape(4, 2)
    >>> model = PixelLossRegressor(clip=(0, 1)).fit(X, [0.0, 0.2, 0.4, 0.7])
    >>> register_converters()
    >>> [node.op_type for node in to_onnx(model, X).graph.node]
    ['MatMul', 'Add', 'Clip']
    """
    try:
        from skl2onnx import update_registered_converter
        from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes
    except ImportError as error:
        raise ImportError(
            "register_converters needs skl2onnx: pip install 'skfairloss[onnx]'"
        ) from error
    for estimator in (PixelLossRegressor, PixelLossRegressorCV):
        update_registered_converter(
            estimator,
            f"Skfairloss{estimator.__name__}",
            calculate_linear_regressor_output_shapes,
            _convert,
        )


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a fitted regressor to a graph: X Wᵀ + b, clipped."""
    from skl2onnx.algebra.onnx_ops import OnnxAdd, OnnxCast, OnnxClip, OnnxMatMul
    from skl2onnx.common.data_types import guess_numpy_type, guess_proto_type

    model, (X,), (output,) = operator.raw_operator, operator.inputs, operator.outputs
    check_is_fitted(model)
    dtype, version = guess_numpy_type(output.type), {"op_version": container.target_opset}
    if guess_proto_type(X.type) != guess_proto_type(output.type):
        X = OnnxCast(X, to=guess_proto_type(output.type), **version)
    coef = np.atleast_2d(model.coef_).T.astype(dtype)
    intercept = np.broadcast_to(model.intercept_, coef.shape[1]).astype(dtype)
    last = {"output_names": [output.full_name], **version}
    product = OnnxMatMul(X, coef, **version)
    if model.clip is None:
        prediction = OnnxAdd(product, intercept, **last)
    else:
        low, high = (np.array(bound, dtype=dtype) for bound in model.clip)
        prediction = OnnxClip(OnnxAdd(product, intercept, **version), low, high, **last)
    prediction.add_to(scope, container)
