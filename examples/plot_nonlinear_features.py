"""
Pixels of a photograph: splines and kernels before a fairness term
==================================================================

**Features that can bend lower the error of the worse-off pixels more than a fairness term does.**
The model is linear in its features, and the features need not be linear: with ``SplineTransformer``
or ``Nystroem`` in front of it the same regression draws curves and surfaces. Here the place of a
pixel in a photograph predicts its brightness. The pixels in the centre are the worse-off group of a
plane. A term for the worst-off group lowers their error, and makes that of the others half as large
again. A surface that can bend lowers both, without a term, and further than any weights can with a
plane. The groups are passed once and reach every fit and every score, through the steps in front of
the regression.
"""

# %%
# A photograph as a table
# -----------------------
#
# The flower that comes with scikit-learn, averaged over blocks of 8 x 8. A row is a pixel: two
# features, its place, and y, its grey value (0 is black, 1 is white). The group "centre" is the
# inner quarter of the area, where the flower is; "border" is the rest.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_sample_image

photo = load_sample_image("flower.jpg").mean(axis=2)[:424] / 255
photo = photo.reshape(53, 8, 80, 8).mean(axis=(1, 3))
places = np.meshgrid(*(np.linspace(-1, 1, size) for size in photo.shape), indexing="ij")
X = np.column_stack([place.ravel() for place in places])
y = photo.ravel()
groups = np.where((np.abs(X) < 0.5).all(axis=1), "centre", "border")
print("pixels:", pd.Series(groups).value_counts().to_dict())

# %%
# Three kinds of features, with and without a term
# ------------------------------------------------
#
# A plane; splines, which bend along each side and add up; and radial functions around 150 pixels
# drawn at random (``Nystroem``), which bend anywhere. All have the same small penalty, and the
# squared loss. With metadata routing, ``sensitive_features`` reach the regression, which requests
# them, through all steps. Each pixel is predicted by a model that was fitted without it.

from sklearn import config_context
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from skfairloss import PixelLossRegressor
from skfairloss.fairness import WorstGroupLoss
from skfairloss.metrics import group_metric_frame, make_group_scorer

FEATURES = {
    "plane": StandardScaler(),
    "splines": SplineTransformer(10),
    "radial": Nystroem(gamma=10, n_components=150, random_state=0),
}
TERMS = {"no term": None, "worst group": WorstGroupLoss()}
folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, groups))
model = Pipeline([("features", "passthrough"), ("regress", PixelLossRegressor(0.0, alpha=1e-4))])

predictions, rows = {}, {}
for features, transformer in FEATURES.items():
    for name, term in TERMS.items():
        model.set_params(features=transformer, regress__fairness=term)
        with config_context(enable_metadata_routing=True):
            y_pred = cross_val_predict(model, X, y, cv=folds, params={"sensitive_features": groups})
        frame = group_metric_frame(y, y_pred, sensitive_features=groups)
        predictions[features, name] = y_pred
        rows[f"{features}, {name}"] = (*frame.by_group["rmse"], frame.overall["rmse"])
errors = pd.DataFrame.from_dict(rows, orient="index", columns=["border", "centre", "all pixels"])
print("RMSE in grey values, each pixel out of sample")
print(errors.round(4).to_string())

# %%
# A search by the worst-off group
# -------------------------------
#
# The reach of the radial functions is a parameter, and a search may choose it by the group with
# the larger error. Here it makes no difference: the choice by all pixels is the same.

from sklearn.model_selection import GridSearchCV

with config_context(enable_metadata_routing=True):
    search = GridSearchCV(
        model.set_params(features=FEATURES["radial"], regress__fairness=None),
        {"features__gamma": [0.1, 1.0, 10.0, 100.0]},
        scoring={
            "all pixels": "neg_root_mean_squared_error",
            "worse-off group": make_group_scorer("rmse", "group_max"),
        },
        refit=False,
        cv=folds,
        error_score="raise",
    ).fit(X, y, sensitive_features=groups)
RULES = ["all pixels", "worse-off group"]
found = pd.DataFrame(
    {rule: -search.cv_results_[f"mean_test_{rule}"] for rule in RULES},
    index=search.cv_results_["param_features__gamma"].astype(float),
)
print("RMSE by gamma, mean over the folds")
print(found.round(4).to_string())
print("picked:", {rule: float(gamma) for rule, gamma in found.idxmin().items()})

figure = plt.figure(figsize=(10, 3.7), layout="constrained")
axes = figure.subplots(2, 4)
panels = {(0, 0): ("photograph", y)}
for column, features in enumerate(FEATURES, start=1):
    for line, name in enumerate(TERMS):
        border, centre, _ = errors.loc[f"{features}, {name}"]
        title = f"{features}, {name}\nborder {border:.3f}, centre {centre:.3f}"
        panels[line, column] = (title, predictions[features, name])
for at, (title, values) in panels.items():
    image = axes[at].imshow(values.reshape(photo.shape), cmap="gray", vmin=0, vmax=1)
    edges = [(size - 1) / 4 - 0.5 for size in photo.shape]
    frame = plt.Rectangle(edges[::-1], photo.shape[1] / 2, photo.shape[0] / 2)
    frame.set(fill=False, edgecolor="C1", linewidth=1)
    axes[at].add_patch(frame)
    axes[at].set_title(title, fontsize="small")
    axes[at].set(xticks=[], yticks=[])
axes[1, 0].set_axis_off()
bar = axes[1, 0].inset_axes([0, 0.6, 1, 0.1])
figure.colorbar(image, cax=bar, orientation="horizontal", label="grey value")
figure.savefig("nonlinear_features.png", dpi=150)
print("figure saved in the working directory: nonlinear_features.png")

# %%
# Conclusions and limits
# ----------------------
#
# The frame is the centre. A plane cannot be dark at the border and bright in the centre at once;
# the worst-group fit makes both errors alike, and most pixels get a larger error. The surface on
# the right shows a flower. Without a term its error in the centre is less than half of what the
# worst-group fit of a plane reaches in either group.
#
# A term has an effect there too: between the two radial fits the error of the centre falls by a
# hundredth, and that of the border rises by three hundredths. The term asks for a small maximum,
# and not for a good exchange. The numbers do not decide if that is worth it.
#
# Pixels that are predicted have neighbours in training: this is interpolation within one
# photograph. With far fewer pixels a surface that bends may be worse; we did not try that.
