"""Numbers that several files share, each with its reason: most tell what counts as zero."""

from __future__ import annotations

# Divisors are kept from 0 by this: far below any quantity of a problem in units of its residuals,
# far above the smallest number that is not denormal, so that quotients stay finite.
TINY = 1e-300

# Relative size below which a singular value is 0: rows are in orthonormal coordinates, whose own
# errors are up to 1e-13 where columns of X are nearly collinear; true ties are far above.
RANK = 1e-10

# Reciprocal condition from which a matrix certainly has an inverse: half of the digits are left.
REGULAR = 1e-7

# Relative size up to which a residual, a loss, a multiplier or a coefficient may be an error of 0:
# solvers aim at gaps of 0.01 tol = 1e-10.
NEARLY_ZERO = 1e-9

# What may be missing from a linear row that is met, relative to the spread of y: solutions of its
# equations have as many digits.
MET = 1e-10

# Gap, relative to the loss, and violation, relative to the largest residual, that rounding alone
# leaves: nothing is to be gained.
SETTLED = 1e-12

# Relative curvature below which a direction has none: 1e3 rounding errors.
FLAT = 1e-13

# The solver aims this much lower than the certificate asks, since the two gaps charge violations
# by different norms.
INNER_TOL = 0.01

# Gap of a band of rows: neighbours of a vertex are within 1e-10, and differ in coefficients.
EXACT = 1e-14

# Objectives below this share of the residual scale are not told from 0.
FLOOR = 1e-6

# Refinements of a solution at most: they end where one does not halve what is left.
REFINEMENTS = 4

# Times that a step is repeated before another method takes over: two or three are usual.
ROUNDS = 8

# A dual this far inside its interval, relative to the width, holds its row at its kink: far above
# the errors of duals at the gap that solvers aim at, 0.01 tol = 1e-10.
INSIDE = 1e-7
