"""Choosing a mix: paths, cross-validation, rules for a choice, paired comparison."""

from __future__ import annotations

from ._path import loss_mix_path

__all__ = ["loss_mix_path"]
