"""The estimator, by scikit-learn's conventions, from parameters and data to fitted attributes."""
